// Free-running 32-bit indexes of shared rings: how far two of them are apart, if that makes sense.

/** Entries between consumer and producer; 0 if a hostile or confused end has made them more than the ring holds. */
export function distance(producer: number, consumer: number, size: number): number {
  const apart = (producer - consumer) >>> 0;
  return apart > size ? 0 : apart;
}
