// CRC-32C (Castagnoli, RFC 9260 appendix A), reflected.
const polynomial = 0x82f63b78;

const table = Uint32Array.from({ length: 256 }, (_, byte) => {
	let crc = byte;
	for (let bit = 0; bit < 8; bit++) {
		crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
	}
	return crc;
});

/** The checksum in network byte order. */
export function crc32c(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
	let crc = 0xffffffff;
	for (const byte of bytes) {
		crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] as number);
	}
	const sum = new Uint8Array(4);
	new DataView(sum.buffer).setUint32(0, ~crc >>> 0);
	return sum;
}
