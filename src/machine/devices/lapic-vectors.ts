// Sets of the 256 interrupt vectors, as the local APIC's IRR, ISR and TMR hold them: eight words of 32 bits.

export function hasVector(set: Uint32Array, vector: number): boolean {
  return (set[vector >> 5]! & (1 << (vector & 31))) !== 0;
}

export function addVector(set: Uint32Array, vector: number): void {
  set[vector >> 5] = set[vector >> 5]! | (1 << (vector & 31));
}

export function removeVector(set: Uint32Array, vector: number): void {
  set[vector >> 5] = set[vector >> 5]! & ~(1 << (vector & 31));
}

/** The highest vector, which has the highest priority; -1 if the set is empty. */
export function highestVector(set: Uint32Array): number {
  for (let i = 7; i >= 0; i--) {
    const word = set[i]!;
    if (word !== 0) return i * 32 + 31 - Math.clz32(word);
  }
  return -1;
}
