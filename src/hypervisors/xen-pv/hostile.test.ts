// Random hypercalls with random pointers, frames and structures: Xen answers or ends the domain, and never breaks.

import { expect, it } from 'vitest';
import { Random } from '../../cpu/testing/random.ts';
import { runProgram, VIRT_BASE } from './testing/pv-guest.ts';

/** A few here; `--testTimeout` and more of them make the long run. */
const SEEDS = 6;
const CALLS = 300;
const WORDS = 8;
const DATA_PAGES = 16;
const TABLE_PAGE = 16;
const NUMBERS = 44;
/** iret and sched_op. */
const ENDING = [23, 29];
const POINTERS = [0, -1, 0x7fff_ffff_f000, -0x8000_0000_0000, -0x7800_0000_0000, 0xdead_beef];

it.each(Array.from({ length: SEEDS }, (_, n) => n))('seed %i', (seed) => {
  const random = new Random(seed + 1);
  const { stop, why } = runProgram(
    (p) => {
      const table = p.page(TABLE_PAGE);
      return `
        mov r13, 0x${BigInt.asUintN(64, BigInt(table)).toString(16)}
        mov r12, ${CALLS}
        again:
        mov rax, [r13]; mov rdi, [r13 + 8]; mov rsi, [r13 + 16]; mov rdx, [r13 + 24]
        mov r10, [r13 + 32]; mov r8, [r13 + 40]; mov r9, [r13 + 48]
        syscall
        add r13, ${WORDS * 8}
        dec r12
        jnz again
        ${p.done}`;
    },
    { data: randomData(random), seed, budget: 100_000 },
  );
  // Off or reset as it asked itself, ended by Xen, asleep for ever, or still busy when the test's patience ends.
  expect(['off', 'reset', 'ended', 'crashed', 'idle', 'slice', 'dead']).toContain(stop);
  if (stop === 'ended') expect(why).toContain('Xen has ended the domain');
});

function randomData(random: Random): Uint8Array {
  const words = new BigUint64Array(((TABLE_PAGE + 5) * 4096) / 8);
  for (let n = 0; n < (DATA_PAGES * 4096) / 8; n++) words[n] = structureWord(random);
  for (let call = 0; call < CALLS; call++) {
    const at = (TABLE_PAGE * 4096) / 8 + call * WORDS;
    words[at] = BigInt(callNumber(random));
    for (let n = 1; n < WORDS; n++) words[at + n] = argument(random);
  }
  return new Uint8Array(words.buffer);
}

/** Few of those that soon end it. */
function callNumber(random: Random): number {
  const number = random.below(NUMBERS);
  return ENDING.includes(number) && random.below(20) > 0 ? 26 : number;
}

const page = (random: Random) => VIRT_BASE + 0x20_0000 + random.below(DATA_PAGES) * 4096;

function argument(random: Random): bigint {
  const kind = random.below(10);
  if (kind < 4) return wide(page(random) + random.below(512) * 8);
  if (kind < 7) return BigInt(random.below(40));
  if (kind < 8) return wide(random.pick(POINTERS));
  if (kind < 9) return 0x7ff0n;
  return random.u64();
}

/** Commands, frame numbers, addresses of entries, small numbers, pointers. */
function structureWord(random: Random): bigint {
  const kind = random.below(8);
  if (kind < 2) return BigInt(random.below(24));
  if (kind < 4) return BigInt(random.below(4096)) * 4096n + BigInt(random.below(8));
  if (kind < 5) return BigInt(random.below(4096));
  if (kind < 6) return wide(page(random));
  if (kind < 7) return BigInt(random.u32()) | (BigInt(random.below(4096)) << 32n);
  return random.u64();
}

const wide = (value: number) => BigInt.asUintN(64, BigInt(value));
