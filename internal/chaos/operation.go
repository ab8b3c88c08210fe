package main

import (
	"encoding/binary"
	"iter"

	"github.com/tiercache/tiercache/internal/history"
)

// With -strong every read travels: tens of thousands a second. A node's report holds them as one string of bytes.

const operationBytes = 8 + 8 + 4 + 2 + 1 // call, return, version, number of the key, client

// appendOperation encodes a read.
func appendOperation(b []byte, key int, op history.Operation) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(op.Call))
	b = binary.LittleEndian.AppendUint64(b, uint64(op.Return))
	b = binary.LittleEndian.AppendUint32(b, uint32(op.Value))
	b = binary.LittleEndian.AppendUint16(b, uint16(key))
	return append(b, byte(op.Client))
}

// operationsIn decodes reads and the numbers of their keys.
func operationsIn(b []byte) iter.Seq2[int, history.Operation] {
	return func(yield func(int, history.Operation) bool) {
		for ; len(b) >= operationBytes; b = b[operationBytes:] {
			op := history.Operation{
				Call:   int64(binary.LittleEndian.Uint64(b)),
				Return: int64(binary.LittleEndian.Uint64(b[8:])),
				Value:  int(binary.LittleEndian.Uint32(b[16:])),
				Client: int(b[22]),
			}
			if !yield(int(binary.LittleEndian.Uint16(b[20:])), op) {
				return
			}
		}
	}
}
