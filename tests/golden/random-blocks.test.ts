// Property: blocks of random instructions do on the JIT's translation what they do on the reference.

import { describe, expect, it } from 'vitest';
import { Interpreter } from '../../src/cpu/interp/engine.ts';
import { programOf } from '../../src/cpu/program.ts';
import { createReferenceEngine } from '../../src/cpu/reference-engine.ts';
import { instructions } from '../../src/cpu/table.ts';
import { type Case, prepareCase, randomCase } from '../../src/cpu/testing/cases.ts';
import { firstDifference } from '../../src/cpu/testing/compare.ts';
import { writeRam } from '../../src/cpu/testing/machine.ts';
import { Random } from '../../src/cpu/testing/random.ts';
import { type Setup, WORLD } from '../../src/cpu/testing/world.ts';
import { randomFlags } from './blocks.ts';
import { AT_ONCE, Runner } from './harness.ts';

const BLOCKS = 260;
const LONGEST = 8;
const PAGE = 4096;

const reference = new Runner(createReferenceEngine);
const jits = [
  new Runner((p) => new Interpreter(p, AT_ONCE)),
  new Runner((p) => new Interpreter(p, { ...AT_ONCE, maxBlock: 3 })),
] as const;

/** The integer core is worth most: it is where flags and partial registers meet. */
const COMMON = new Set(
  'add adc sub sbb cmp and or xor test inc dec neg not shl shr sar rol ror rcl rcr shld imul mov movzx set cmov xchg bt lea'.split(
    ' ',
  ),
);

function randomInsn(random: Random, setup: Setup): Case | null {
  const common = random.chance(60);
  const insn = random.pick(instructions);
  if (common && !COMMON.has(insn.name)) return null;
  return randomCase(insn, random.pick(insn.forms), setup, random.u32());
}

/** Up to eight instructions, of which only the last may end a block. */
function randomBlock(seed: number, setup: Setup): Case[] {
  const random = new Random(Math.imul(seed, 0x85ebca6b));
  const length = 2 + random.below(LONGEST - 1);
  const block: Case[] = [];
  while (block.length < length) {
    const c = randomInsn(random, setup);
    if (!c) continue;
    const ends = programOf(c.d).ends;
    if (ends && random.chance(85)) continue;
    block.push(c);
    if (ends) break;
  }
  return block;
}

function compareBlock(setup: Setup, seed: number): string | null {
  const block = randomBlock(seed, setup);
  const [first] = block as [Case, ...Case[]];
  const jit = jits[seed % jits.length] as Runner;
  const bytes = Uint8Array.from(block.flatMap((c) => [...c.bytes]));
  const at = seed % 10 === 0 ? WORLD.code.at + PAGE - (bytes.length >> 1) : WORLD.code.at;
  const results = [reference, jit].map((r) => {
    prepareCase(r.machine, first);
    randomFlags(r.machine, new Random(seed));
    writeRam(r.machine, at, bytes);
    r.machine.state.set64('rip', BigInt(at));
    return r.run(seed % 4 === 0 ? Math.max(1, block.length - 2) : block.length);
  });
  const found = firstDifference(reference.machine, jit.machine, results[0]!, results[1]!);
  if (found === null) return null;
  return `seed ${seed}, ${block.map((c) => `${c.insn.name} ${c.form.op}`).join('; ')}: ${found}`;
}

describe.each(['long', 'long-user', 'protected'] as const)('random blocks in %s', (setup) => {
  it('end in the same state on both engines, whatever they do', () => {
    const differences: string[] = [];
    for (let seed = 1; seed <= BLOCKS; seed++) {
      const found = compareBlock(setup, seed);
      if (found !== null) differences.push(found);
    }
    expect(differences.slice(0, 5)).toEqual([]);
  });
});
