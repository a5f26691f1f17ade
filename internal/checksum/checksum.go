// Package checksum computes with CRC-32C (Castagnoli) sums: the sum of a whole
// from the sums of its parts, without the bytes. Units of an upload are summed
// where they are read, in any order, and combined afterwards.
//
// Its functions keep no state and are safe for concurrent use.
package checksum

import "hash/crc32"

// Update adds p to the running sum crc; the sum of nothing is 0.
func Update(crc uint32, p []byte) uint32 {
	return crc32.Update(crc, crc32.MakeTable(crc32.Castagnoli), p)
}

// Combine returns the sum of A followed by B, from the sum a of A, the sum b
// of B and the length of B in bytes, which must not be negative.
func Combine(a, b uint32, lenB int64) uint32 {
	// Appending B multiplies A's polynomial by x^(8*lenB). A sum's initial and
	// final inversion cancel out.
	return multiply(power(uint64(lenB)%order*8%order), a) ^ b
}

const (
	// polynomial is Castagnoli's with the bits reversed: bit 31 is x^0.
	polynomial = crc32.Castagnoli
	// order is the least n > 0 with x^n = 1 modulo the polynomial, which is
	// x+1 times a primitive one of degree 31.
	order = 1<<31 - 1
)

// multiply returns a*b modulo the polynomial.
func multiply(a, b uint32) uint32 {
	var product uint32
	for a != 0 {
		product ^= b & uint32(int32(a)>>31)
		b = b>>1 ^ polynomial&-(b&1)
		a <<= 1
	}
	return product
}

// power returns x^n modulo the polynomial, for n < order.
func power(n uint64) uint32 {
	// squares[i] is x^(32 * 2^i).
	squares := [26]uint32{
		0x82f63b78, 0x6ea2d55c, 0x18b8ea18, 0x510ac59a, 0xb82be955, 0xb8fdb1e7, 0x88e56f72, 0x74c360a4,
		0xe4172b16, 0x0d65762a, 0x35d73a62, 0x28461564, 0xbf455269, 0xe2ea32dc, 0xfe7740e6, 0xf946610b,
		0x3c204f8f, 0x538586e3, 0x59726915, 0x734d5309, 0xbc1ac763, 0x7d0722cc, 0xd289cabe, 0xe94ca9bc,
		0x05b74f3f, 0xa51e1f42,
	}
	// Powers below 32 need no reduction: each is one bit.
	result := uint32(1<<31) >> (n % 32)
	n /= 32
	for i := 0; n != 0; i, n = i+1, n/2 {
		if n%2 != 0 {
			result = multiply(squares[i], result)
		}
	}
	return result
}
