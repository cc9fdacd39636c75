// A bzImage for each codec that kernels are packed with.

import { makeBzImage, makeVmlinux } from './build.ts';
import { PAYLOAD_FIXTURES, PAYLOAD_TEXT } from './payload-fixtures.ts';

export const payloadVmlinux = (): Uint8Array => makeVmlinux(PAYLOAD_TEXT);

/** All but gzip, whose trailer has it, are followed by the plain size (Linux 6.1 scripts/Makefile.lib, size_append). */
export function payloadImages(): readonly { codec: string; bytes: Uint8Array }[] {
  const size = Buffer.alloc(4);
  size.writeUInt32LE(payloadVmlinux().length);
  return PAYLOAD_FIXTURES.map(({ codec, base64 }) => {
    const packed = Buffer.from(base64, 'base64');
    return { codec, bytes: makeBzImage(codec === 'gzip' ? packed : Buffer.concat([packed, size])) };
  });
}
