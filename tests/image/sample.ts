// The plain bytes behind the codec fixtures: text, noise, long runs, and x86 calls for the filter of xz.

const WORDS =
  'the kernel asks its hypervisor for the time and the hypervisor answers in pages'.split(' ');

export function samplePlain(): Uint8Array {
  let seed = 12345;
  const random = () => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return seed >>> 16;
  };
  const out: number[] = [];
  for (let n = 0; n < 120; n++) {
    for (const character of `${WORDS[random() % WORDS.length]} `) out.push(character.charCodeAt(0));
  }
  // Calls to three targets: relative displacements differ at each place, absolute ones do not.
  for (let n = 0; n < 60; n++) {
    const next = out.length + 5;
    const displacement = [0x100, 0x4000, 0x123456][random() % 3]! - next;
    out.push(random() % 2 ? 0xe8 : 0xe9);
    for (let shift = 0; shift < 32; shift += 8) out.push((displacement >> shift) & 255);
    if (random() % 4 === 0) out.push(0x90, 0xe8, 0x31, 0xc0);
  }
  for (let n = 0; n < 200; n++) out.push(random() & 255);
  for (let n = 0; n < 700; n++) out.push(0);
  for (let n = 0; n < 300; n++) out.push(n % 7);
  return Uint8Array.from(out);
}
