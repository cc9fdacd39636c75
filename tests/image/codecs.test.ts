// Codecs against what the tools wrote, and against damaged input.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { InputError } from '../../src/base/errors.ts';
import { adler32, crc32, crc32Msb, crc64 } from '../../src/image/codec/crc.ts';
import { CODECS, detect } from '../../src/image/codec/detect.ts';
import { xz, xzPrefix } from '../../src/image/codec/xz.ts';
import { CODEC_FIXTURES } from './codec-fixtures.ts';
import { samplePlain } from './sample.ts';

const PLAIN = samplePlain();
const packed = (base64: string) => Uint8Array.from(Buffer.from(base64, 'base64'));
const decoderOf = (bytes: Uint8Array) => detect(bytes)!.decode;

/** Runs `decode`; whatever is not an InputError fails the test. */
function outcome(decode: () => Uint8Array): Uint8Array | InputError {
  try {
    return decode();
  } catch (error) {
    if (error instanceof InputError) return error;
    throw error;
  }
}

for (const { codec, title, base64 } of CODEC_FIXTURES) {
  const bytes = packed(base64);

  test(`${title}: is recognised, and gives the original bytes`, () => {
    expect(detect(bytes)?.name).toBe(codec);
    expect(Buffer.compare(decoderOf(bytes)(bytes, PLAIN.length), PLAIN)).toBe(0);
  });

  test(`${title}: one byte more than the limit is refused`, () => {
    const result = outcome(() => decoderOf(bytes)(bytes, PLAIN.length - 1));
    expect(result).toMatchObject({ code: 'image/too-large' });
  });

  test(`${title}: every truncation is refused`, () => {
    for (let length = 0; length < bytes.length; length++) {
      const result = outcome(() => decoderOf(bytes)(bytes.subarray(0, length), PLAIN.length));
      // A legacy lz4 frame has no end: cut between its blocks it is whole.
      if (codec === 'lz4' && length === 4) expect(result).toHaveLength(0);
      else expect(result, `at ${length}`).toBeInstanceOf(InputError);
    }
  });

  test(`${title}: damaged bytes never crash, hang or pass the limit`, () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        (changes) => {
          const damaged = bytes.slice();
          for (const [at, flip] of changes) damaged[at] = damaged[at]! ^ flip;
          const result = outcome(() => decoderOf(bytes)(damaged, 100_000));
          expect(result instanceof InputError || result.length <= 100_000).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });

  if (!['zstd', 'lz4', 'lzma'].includes(codec)) {
    test(`${title}: a flipped bit never gives other bytes`, () => {
      // Behind the headers, which hold times and names that nothing depends on.
      for (let at = Math.floor(bytes.length / 2); at < bytes.length; at += 7) {
        const damaged = bytes.slice();
        damaged[at] = damaged[at]! ^ 0x10;
        const result = outcome(() => decoderOf(bytes)(damaged, 100_000));
        // Some flips change how the same bytes are said, such as the distance within a run.
        const same = result instanceof Uint8Array && Buffer.compare(result, PLAIN) === 0;
        expect(same || result instanceof InputError, `at ${at}`).toBe(true);
      }
    });
  }
}

test('noise behind each magic number is refused or bounded', () => {
  fc.assert(
    fc.property(fc.constantFrom(...CODECS), fc.uint8Array({ maxLength: 400 }), (codec, noise) => {
      const bytes = Uint8Array.from([...codec.magic, ...noise]);
      const result = outcome(() => codec.decode(bytes, 50_000));
      expect(result instanceof InputError || result.length <= 50_000).toBe(true);
    }),
    { numRuns: 2000 },
  );
});

test('a prefix of xz data is the prefix of what all of it gives', () => {
  for (const { codec, base64 } of CODEC_FIXTURES) {
    if (codec !== 'xz') continue;
    for (const length of [0, 1, 900, 1001, PLAIN.length, PLAIN.length + 5]) {
      const prefix = xzPrefix(packed(base64), length, PLAIN.length);
      expect(Buffer.compare(prefix, PLAIN.subarray(0, length))).toBe(0);
    }
  }
});

test('several xz streams with padding between them are one file', () => {
  const stream = packed(CODEC_FIXTURES.find(({ codec }) => codec === 'xz')!.base64);
  const two = Uint8Array.from([...stream, 0, 0, 0, 0, ...stream]);
  expect(Buffer.compare(xz(two, 1 << 20), Buffer.concat([PLAIN, PLAIN]))).toBe(0);
});

test('the checksums have the published values for "123456789"', () => {
  const bytes = Buffer.from('123456789');
  expect(crc32(bytes)).toBe(0xcbf43926);
  expect(crc32Msb(bytes)).toBe(0xfc891918);
  expect(crc64(bytes)).toEqual({ hi: 0x995dc9bb, lo: 0xdf1939fa });
  expect(adler32(bytes)).toBe(0x091e01de);
});
