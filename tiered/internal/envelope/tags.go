package envelope

import "encoding/binary"

// minTagSize is the size of a tag with an empty name.
const minTagSize = 1 + stampSize

func appendTags(buf []byte, tags []Tag) []byte {
	buf = binary.AppendUvarint(buf, uint64(len(tags)))
	for _, tag := range tags {
		buf = binary.AppendUvarint(buf, uint64(len(tag.Name)))
		buf = append(buf, tag.Name...)
		buf = append(buf, tag.Stamp[:]...)
	}
	return buf
}

// splitTags parses the tags at the beginning of b and returns what follows
// them. What it allocates is bounded by a small multiple of len(b), whatever
// the count in b says.
func splitTags(b []byte) (tags []Tag, rest []byte, err error) {
	count, b, err := splitUvarint(b)
	if err != nil {
		return nil, nil, err
	}
	if count == 0 {
		return nil, b, nil
	}
	if count > uint64(len(b)/minTagSize) {
		return nil, nil, ErrShort
	}
	tags = make([]Tag, count)
	for i := range tags {
		if tags[i], b, err = splitTag(b); err != nil {
			return nil, nil, err
		}
	}
	return tags, b, nil
}

func splitTag(b []byte) (tag Tag, rest []byte, err error) {
	size, b, err := splitUvarint(b)
	if err != nil {
		return Tag{}, nil, err
	}
	if len(b) < stampSize || size > uint64(len(b)-stampSize) {
		return Tag{}, nil, ErrShort
	}
	name, b := b[:size], b[size:]
	return Tag{Name: string(name), Stamp: [16]byte(b[:stampSize])}, b[stampSize:], nil
}

// splitUvarint refuses a number with needless trailing zeros, so that a record
// has one encoding only.
func splitUvarint(b []byte) (n uint64, rest []byte, err error) {
	n, size := binary.Uvarint(b)
	switch {
	case size == 0:
		return 0, nil, ErrShort
	case size < 0, size > 1 && b[size-1] == 0:
		return 0, nil, ErrFormat
	}
	return n, b[size:], nil
}
