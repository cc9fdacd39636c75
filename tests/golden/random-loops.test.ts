// Property: loops of random instructions, nested and entered anywhere, do as translated units what they do on the reference.

import { describe, expect, it } from 'vitest';
import { Assembler } from '../../src/cpu/asm.ts';
import { Interpreter } from '../../src/cpu/interp/engine.ts';
import { GPR } from '../../src/cpu/isa/build.ts';
import { createReferenceEngine } from '../../src/cpu/reference-engine.ts';
import { randomState } from '../../src/cpu/testing/cases.ts';
import { firstDifference } from '../../src/cpu/testing/compare.ts';
import { type Machine, resetMachine, writeRam } from '../../src/cpu/testing/machine.ts';
import { Random } from '../../src/cpu/testing/random.ts';
import { modeOf, type Setup, WORLD } from '../../src/cpu/testing/world.ts';
import { randomFlags } from './blocks.ts';
import { Runner } from './harness.ts';

const PROGRAMS = 60;
/** Budgets in a row: the translation appears somewhere in the middle of them. */
const STRETCHES = 8;
const MOST = 150;

const reference = new Runner(createReferenceEngine);
const jit = new Runner((p) => new Interpreter(p, { tiered: true, threshold: 8, batch: 1 }));

/** Registers that hold data; SI, DI and BX point into the data and move by small steps, SP is a stack. */
const DATA = ['ax', 'cx', 'dx'];
const CONDITIONS = ['z', 'nz', 'b', 'ae', 'be', 'a', 's', 'ns', 'p', 'o', 'l', 'ge', 'le', 'g'];

function randomLine(random: Random, wide: string): string {
  const full = (r: string) => `${wide}${r}`;
  const a = full(random.pick(DATA));
  const b = full(random.pick(DATA));
  const p = full(random.pick(['si', 'di', 'bx']));
  const low = random.pick(['al', 'cl', 'dl', 'ah', 'ch', 'dh', 'ax', 'cx', 'dx']);
  const size = low.endsWith('x') ? 'word' : 'byte';
  const at = `[${p}${random.chance(50) ? `+${random.below(40)}` : ''}]`;
  const x = `xmm${random.below(4)}`;
  const step = random.below(60) - 20;
  return random.pick([
    () => `${random.pick(['add', 'sub', 'xor', 'and', 'adc', 'sbb', 'cmp'])} ${a}, ${b}`,
    () => `${random.pick(['inc', 'dec', 'neg', 'not'])} ${a}`,
    () => `${random.pick(['shl', 'shr', 'sar', 'rol', 'rcr'])} ${a}, ${random.below(8)}`,
    () => `mov ${low}, ${size} ptr ${at}`,
    () => `${random.pick(['mov', 'add', 'cmp', 'sbb'])} ${size} ptr ${at}, ${low}`,
    () => `mov ${a}, ${wide === 'r' ? 'qword' : 'dword'} ptr ${at}`,
    () => `${random.pick(['mov', 'add', 'xor'])} dword ptr ${at}, e${random.pick(DATA)}`,
    () => `add ${p}, ${step}`,
    () => `lea ${p}, [${p}+${random.below(32)}]`,
    () => `set${random.pick(CONDITIONS)} ${low.endsWith('x') ? 'al' : low}`,
    () => `cmov${random.pick(CONDITIONS)} ${a}, ${b}`,
    () => `movdqu ${x}, xmmword ptr ${at}`,
    () => `movdqu xmmword ptr ${at}, ${x}`,
    () => `paddd ${x}, xmm${random.below(4)}`,
    () => `movd ${x}, e${random.pick(DATA)}`,
    () => `movss ${x}, xmm${random.below(4)}`,
    () => `push ${a}`,
    () => `pop ${b}`,
    () => (random.chance(20) ? 'lahf' : 'nop'),
    () => (random.chance(20) ? `mov dword ptr [${wide}bp], eax` : 'cld'),
    () => (random.chance(10) ? `div e${random.pick(DATA)}` : `imul ${a}, ${b}`),
  ])();
}

/** Two to five blocks, each of which may jump to any. */
function randomLoops(random: Random, setup: Setup): Assembler {
  const wide = modeOf(setup) === 64 ? 'r' : 'e';
  const blocks = 2 + random.below(4);
  const lines: string[] = [];
  for (let b = 0; b < blocks; b++) {
    lines.push(`l${b}:`);
    for (let n = random.below(6); n >= 0; n--) lines.push(randomLine(random, wide));
    const target = random.chance(60) ? random.below(b + 1) : random.below(blocks);
    if (random.chance(85)) lines.push(`j${random.pick(CONDITIONS)} l${target}`);
  }
  lines.push(`jmp l${random.below(blocks)}`);
  return new Assembler(modeOf(setup), WORLD.code.at).text(lines.join('\n'));
}

/** Blocks lie so far apart that an index gives an address. */
const BLOCK_BYTES = 128;

/** Four blocks that end in jumps through a register, in calls and in returns. */
function randomSwitches(random: Random, setup: Setup): Assembler {
  const wide = modeOf(setup) === 64 ? 'r' : 'e';
  const asm = new Assembler(modeOf(setup), WORLD.code.at);
  const index = `and ecx, 3; shl ecx, 7; add ecx, ${WORLD.code.at}`;
  for (let b = 0; b < 4; b++) {
    asm.align(BLOCK_BYTES, 0x90).text(`l${b}:`);
    for (let n = random.below(5); n >= 0; n--) asm.text(randomLine(random, wide));
    const other = `l${random.below(4)}`;
    const end = random.pick([
      () => `${index}; jmp ${wide}cx`,
      () => `call ${other}; mov ecx, eax; ${index}; jmp ${wide}cx`,
      () => `${index}; call ${wide}cx; jmp ${other}`,
      () => `push ${wide}ax; j${random.pick(CONDITIONS)} ${other}; pop ${wide}dx; ret`,
    ])();
    asm.text(end.replaceAll('; ', '\n'));
  }
  return asm;
}

function prepare(m: Machine, seed: number, code: Uint8Array): void {
  const random = new Random(seed);
  randomState(m, seed);
  randomFlags(m, random);
  for (const name of ['rsi', 'rdi', 'rbx', 'rbp', 'rsp'])
    m.state.setGpr(GPR.indexOf(name as never), BigInt(WORLD.data.at + random.below(0x3000)));
  if (random.chance(15)) m.state.setGpr(6, BigInt(WORLD.readOnly.at + random.below(64)));
  if (random.chance(15)) m.state.setGpr(7, BigInt(WORLD.unmapped.at - random.below(300)));
  if (random.chance(30)) m.state.setGpr(5, BigInt(WORLD.mmio.at + 8));
  writeRam(m, WORLD.code.at, code);
  m.state.set64('rip', BigInt(WORLD.code.at));
}

type Make = (random: Random, setup: Setup) => Assembler;

function compare(setup: Setup, seed: number, make: Make): string | null {
  const random = new Random(Math.imul(seed, 0x9e3779b1));
  const code = make(random, setup).finish();
  for (const { machine } of [reference, jit]) {
    resetMachine(machine, setup);
    prepare(machine, seed, code);
  }
  for (let n = 0; n < STRETCHES; n++) {
    const budget = 1 + random.below(MOST);
    if (random.chance(20)) for (const { machine } of [reference, jit]) machine.mmu.flushAll();
    const results = [reference, jit].map((r) => r.run(budget));
    const left = [reference, jit].map(({ machine }) => machine.state.get('budget'));
    const found =
      left[0] === left[1]
        ? firstDifference(reference.machine, jit.machine, results[0]!, results[1]!)
        : `budget left: ${left}`;
    if (found !== null)
      return `seed ${seed}, stretch ${n}: ${found}\n${Buffer.from(code).toString('hex')}`;
    if (results[0] !== 'ok') break;
  }
  return null;
}

describe.each(['long', 'long-user', 'protected'] as const)('random loops in %s', (setup) => {
  it.each([
    ['jump backwards', randomLoops],
    ['jump through registers, call and return', randomSwitches],
  ])('that %s end in the same state on both engines, wherever they are stopped', (_, make) => {
    const differences: string[] = [];
    const before = jit.engine.stats?.().regions ?? 0;
    for (let seed = 1; seed <= PROGRAMS; seed++) {
      const found = compare(setup, seed, make);
      if (found !== null) differences.push(found);
    }
    expect(differences.slice(0, 3)).toEqual([]);
    expect((jit.engine.stats?.().regions ?? 0) - before).toBeGreaterThan(PROGRAMS / 3);
  });
});
