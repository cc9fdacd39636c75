// How an access lies in pages, and in which pieces devices see it.

/** Bytes of the access that lie in its first page. */
export function firstPart(va: number, bytes: number): number {
  const room = 4096 - (va & 0xfff);
  return Math.min(bytes, room);
}

/** An access of the engines that a device sees whole. */
export function isPiece(bytes: number): boolean {
  return bytes <= 8 && (bytes & (bytes - 1)) === 0;
}

/** The largest piece of so many bytes that a device sees at once. */
export function pieceOf(bytes: number): number {
  if (bytes >= 8) return 8;
  if (bytes >= 4) return 4;
  return bytes >= 2 ? 2 : 1;
}
