// SPDX-License-Identifier: Apache-2.0
/*
 * der - a strict reader of DER.
 *
 * The caller says which element must come next; everything else is an
 * error.  Lengths are definite, minimal and at most four bytes long, tags
 * are low-numbered.   Does not know: what the elements mean.
 */
import type { Bytes } from "./bytes";

export const SEQUENCE = 0x30, SET = 0x31, INTEGER = 0x02, OCTETS = 0x04,
	OID = 0x06;

export class DerError extends Error {}

export class Der {
	private at = 0;

	constructor(private readonly bytes: Bytes) {}

	/* The content of the next element, which must have this tag. */
	take(tag: number): Bytes
	{
		if (this.byte() !== tag)
			throw new DerError(`no element ${tag.toString(16)}`);
		const len = this.length();

		if (len > this.bytes.length - this.at)
			throw new DerError("cut off");
		this.at += len;
		return this.bytes.subarray(this.at - len, this.at);
	}

	/* The next element, which must hold other elements. */
	enter(tag: number): Der
	{
		return new Der(this.take(tag));
	}

	/* The next element must have this tag and these bytes. */
	expect(tag: number, content: readonly number[]): void
	{
		const got = this.take(tag);

		if (got.length !== content.length
		    || content.some((byte, i) => got[i] !== byte))
			throw new DerError("unexpected value");
	}

	/* As take(), for an element of exactly `len` bytes. */
	takeExactly(tag: number, len: number): Bytes
	{
		const got = this.take(tag);

		if (got.length !== len)
			throw new DerError("unexpected length");
		return got;
	}

	end(): void
	{
		if (this.at !== this.bytes.length)
			throw new DerError("something follows");
	}

	private byte(): number
	{
		const byte = this.bytes[this.at];

		if (byte === undefined)
			throw new DerError("cut off");
		this.at++;
		return byte;
	}

	private length(): number
	{
		const first = this.byte();
		let len = 0;

		if (first < 0x80)
			return first;
		if (first === 0x80 || first > 0x84)
			throw new DerError("length form not allowed");
		for (let i = first & 0x7f; i > 0; i--) {
			len = len * 256 + this.byte();
			if (len === 0)
				throw new DerError("length not minimal");
		}
		if (len < 0x80)
			throw new DerError("length not minimal");
		return len;
	}
}
