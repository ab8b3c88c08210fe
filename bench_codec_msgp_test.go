package tiercache_test

import (
	"encoding/binary"
	"errors"
	"time"
)

// A codedProduct is a Product that codes itself, with the methods that tinylib/msgp
// generates, written by hand to do without that module.
type codedProduct Product

func (p *codedProduct) MarshalMsg(b []byte) ([]byte, error) {
	b = append(b, 0x88)
	b = msgString(msgString(b, "ID"), p.ID)
	b = msgString(msgString(b, "Name"), p.Name)
	b = msgString(msgString(b, "Text"), p.Text)
	b = msgInt(msgString(b, "Cents"), p.Cents)
	b = msgInt(msgString(b, "Stock"), int64(p.Stock))
	b = append(msgString(b, "Updated"), 0xc7, 12, 5)
	b = binary.BigEndian.AppendUint64(b, uint64(p.Updated.Unix()))
	b = binary.BigEndian.AppendUint32(b, uint32(p.Updated.Nanosecond()))
	b = append(msgString(b, "Tags"), 0x90|byte(len(p.Tags)))
	for _, tag := range p.Tags {
		b = msgString(b, tag)
	}
	b = append(msgString(b, "Attributes"), 0x80|byte(len(p.Attributes)))
	for name, value := range p.Attributes {
		b = msgString(msgString(b, name), value)
	}
	return b, nil
}

func (p *codedProduct) UnmarshalMsg(b []byte) ([]byte, error) {
	in := msgReader{b: b}
	for range in.size(0x80) {
		switch string(in.text()) {
		case "ID":
			p.ID = string(in.text())
		case "Name":
			p.Name = string(in.text())
		case "Text":
			p.Text = string(in.text())
		case "Cents":
			p.Cents = in.number()
		case "Stock":
			p.Stock = int(in.number())
		case "Updated":
			body := in.next(15)
			p.Updated = time.Unix(int64(binary.BigEndian.Uint64(body[3:])), int64(binary.BigEndian.Uint32(body[11:])))
		case "Tags":
			p.Tags = make([]string, in.size(0x90))
			for i := range p.Tags {
				p.Tags[i] = string(in.text())
			}
		case "Attributes":
			n := in.size(0x80)
			p.Attributes = make(map[string]string, n)
			for range n {
				name := string(in.text())
				p.Attributes[name] = string(in.text())
			}
		default:
			return b, errors.New("another field")
		}
	}
	return in.b, in.err
}

func msgString(b []byte, s string) []byte {
	if len(s) < 32 {
		return append(append(b, 0xa0|byte(len(s))), s...)
	}
	return append(append(b, 0xd9, byte(len(s))), s...)
}

func msgInt(b []byte, n int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xd3), uint64(n))
}

// A msgReader reads what the methods above write. Past the end it reads zeros.
type msgReader struct {
	b   []byte
	err error
}

func (r *msgReader) next(n int) []byte {
	if n > len(r.b) {
		r.b, r.err = nil, errors.New("too short")
		return make([]byte, n)
	}
	part := r.b[:n]
	r.b = r.b[n:]
	return part
}

func (r *msgReader) size(mark byte) int { return int(r.next(1)[0] - mark) }

func (r *msgReader) text() []byte {
	if c := r.next(1)[0]; c&0xe0 == 0xa0 {
		return r.next(int(c & 0x1f))
	}
	return r.next(int(r.next(1)[0]))
}

func (r *msgReader) number() int64 { return int64(binary.BigEndian.Uint64(r.next(9)[1:])) }
