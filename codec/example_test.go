package codec_test

import (
	"errors"
	"fmt"

	"github.com/tiercache/tiercache/codec"
)

type Product struct {
	ID    string            `msgpack:"id" json:"id"`
	Cents int64             `msgpack:"cents" json:"cents"`
	Attrs map[string]string `msgpack:"attrs" json:"attrs"`
}

func ExampleMsgpack() {
	c := codec.Msgpack()
	data, err := c.Append(nil, &Product{ID: "p1", Cents: 4700})
	if err != nil {
		panic(err)
	}
	var p Product
	fmt.Println(c.Decode(data, &p), p.ID, p.Cents)

	bomb := []byte{0xdd, 0xff, 0xff, 0xff, 0xff} // an array of four billion
	err = c.Decode(bomb, &p)
	fmt.Println(errors.Is(err, codec.ErrMalformed))
	// Output:
	// <nil> p1 4700
	// true
}

// A Counter codes itself, by hand here; tinylib/msgp generates such methods.
type Counter struct{ Name, Count byte }

func (c *Counter) MarshalMsg(b []byte) ([]byte, error) {
	return append(b, 0x92, c.Name&0x7f, c.Count&0x7f), nil // an array of two small numbers
}

func (c *Counter) UnmarshalMsg(b []byte) ([]byte, error) {
	if len(b) < 3 || b[0] != 0x92 {
		return b, errors.New("not a counter")
	}
	c.Name, c.Count = b[1], b[2]
	return b[3:], nil
}

// Methods of a type are used without reflection, and on checked bytes only.
func ExampleMsgpack_methods() {
	data, err := codec.Msgpack().Append(nil, &Counter{Name: 'a', Count: 7})
	fmt.Printf("%x %v\n", data, err)

	var c Counter
	fmt.Println(codec.Msgpack().Decode(data, &c), c.Count)
	fmt.Println(codec.Msgpack().Decode(data[:2], &c))
	// Output:
	// 926107 <nil>
	// <nil> 7
	// codec: malformed data: msgpack into *codec_test.Counter: less data than declared (at byte 2)
}

func ExampleJSON() {
	c := codec.JSON()
	data, err := c.Append(nil, Product{ID: "p1", Cents: 4700, Attrs: map[string]string{"size": "<L>", "color": "red"}})
	fmt.Println(string(data), err)
	// Output: {"id":"p1","cents":4700,"attrs":{"color":"red","size":"<L>"}} <nil>
}

func ExampleRaw() {
	c := codec.Raw()
	data, err := c.Append([]byte("header:"), "<html>")
	fmt.Println(string(data), err)

	_, err = c.Append(nil, Product{})
	fmt.Println(err)
	// Output:
	// header:<html> <nil>
	// codec: unsupported value: Raw takes []byte and string, not codec_test.Product: choose Msgpack or JSON for it
}
