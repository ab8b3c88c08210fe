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
