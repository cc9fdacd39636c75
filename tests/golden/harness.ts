// Runs a golden block on the JIT's blocks and on the reference, from the same random states, and says how they differ.

import { Assembler } from '../../src/cpu/asm.ts';
import type { Engine, EngineParts } from '../../src/cpu/core.ts';
import { decode } from '../../src/cpu/decode.ts';
import type { Decoded } from '../../src/cpu/decoded.ts';
import { disasm } from '../../src/cpu/disasm.ts';
import { Interpreter, slowNameOf, slowNumber } from '../../src/cpu/interp/engine.ts';
import { RECORD_BYTES } from '../../src/cpu/interp/records.ts';
import { GPR } from '../../src/cpu/isa/build.ts';
import { printProgram } from '../../src/cpu/isa/print.ts';
import { jitForm, liveParts } from '../../src/cpu/jit/forms.ts';
import { regionText } from '../../src/cpu/jit/module.ts';
import { programOf } from '../../src/cpu/program.ts';
import { createReferenceEngine } from '../../src/cpu/reference-engine.ts';
import { randomState } from '../../src/cpu/testing/cases.ts';
import { firstDifference } from '../../src/cpu/testing/compare.ts';
import {
  createMachine,
  type Machine,
  NO_INTERRUPTS,
  resetMachine,
  type StepResult,
  writeRam,
} from '../../src/cpu/testing/machine.ts';
import { Random } from '../../src/cpu/testing/random.ts';
import { isLong, modeOf, type Setup, WORLD } from '../../src/cpu/testing/world.ts';
import { type GoldenBlock, randomFlags } from './blocks.ts';

const PAGE = 4096;
const ROUNDS = 3;
/** Where the code lies, and what an indirect call calls. */
const CODE = WORLD.code.at;
const SUBROUTINE = [0x48, 0x01, 0xc8, 0x0f, 0x92, 0xc2, 0xc3]; // add rax, rcx; setb dl; ret

/** A machine whose border writes down the retired count of each request, and an engine on it. */
export class Runner {
  readonly machine: Machine;
  readonly engine: Engine;
  private granted = 0;

  constructor(create: (parts: EngineParts) => Engine) {
    const machine = createMachine();
    this.machine = machine;
    const { memory, views, layout, state, mmu, cx, border } = machine;
    const undecodable = () => {
      state.raise(6, null);
    };
    const parts = { memory, views, layout, state, mmu, cx, undecodable, ...NO_INTERRUPTS };
    this.engine = create(parts);
    machine.engine = this.engine;
    cx.retired = () => this.retired();
    const { mmioRead, mmioWrite } = border;
    border.mmioRead = (...args) => {
      border.log.push(`after ${this.retired()}`);
      mmioRead(...args);
    };
    border.mmioWrite = (...args) => {
      border.log.push(`after ${this.retired()}`);
      mmioWrite(...args);
    };
  }

  run(budget: number): StepResult {
    const { state } = this.machine;
    this.granted = budget;
    state.set('budget', budget);
    state.set('slack', 0);
    state.setVa('horizon', budget);
    state.set('attention', 0);
    if (this.engine.run() !== 'fault') return 'ok';
    const error = state.get('faultHasError') ? state.get('faultError') : null;
    return { fault: state.get('faultVector'), error };
  }

  retired(): number {
    const { state } = this.machine;
    const left = (state.get('budget') | 0) + (state.get('slack') | 0);
    return this.granted - left - this.engine.pending();
  }
}

export interface Report {
  /** The first differences, with the seeds that show them. */
  readonly differences: string[];
  /** Offsets of the instructions that faulted at least once. */
  readonly faultedAt: Set<number>;
  /** Runs in which all instructions completed. */
  completed: number;
  runs: number;
}

/** Ways for a pointer to be led astray. `k` is small: the access lies at, or across, the place. */
const PLACES: readonly ((k: number) => number)[] = [
  (k) => WORLD.data.at + 3 * PAGE - k, // crosses inside the data
  (k) => WORLD.readOnly.at + 64 + k,
  (k) => WORLD.unmapped.at + 64 + k,
  (k) => WORLD.readOnly.at - k, // from writable to read-only
  (k) => WORLD.unmapped.at - k, // from read-only to unmapped
  (k) => WORLD.afterUnmapped.at - k, // from unmapped to mapped
  (k) => WORLD.mmio.at + 8 * k,
  (k) => WORLD.mmio.at - k,
  (k) => 0x7ffffffffffc - k,
];

/** Every block is translated before it first runs. */
export const AT_ONCE = { tiered: true, threshold: 1, batch: 1 } as const;

export class GoldenRunner {
  private readonly reference = new Runner(createReferenceEngine);
  private readonly jit = new Runner((p) => new Interpreter(p, AT_ONCE));

  /** `states` random states, each run three times on the same memory: with cold, warm and flushed TLBs. */
  compare(block: GoldenBlock, states: number): Report {
    const report: Report = { differences: [], faultedAt: new Set(), completed: 0, runs: 0 };
    const code = assembleBlock(block);
    for (let seed = 1; seed <= states && report.differences.length < 3; seed++) {
      const { jit } = this;
      for (const r of [this.reference, jit]) resetMachine(r.machine, block.setup ?? 'long');
      for (let round = 0; round < ROUNDS; round++) {
        const found = this.round(block, code, jit, seed * ROUNDS + round, report);
        if (found === null) continue;
        report.differences.push(`${block.name}, seed ${seed}, round ${round}: ${found}`);
        break;
      }
    }
    return report;
  }

  private round(
    block: GoldenBlock,
    code: Uint8Array,
    jit: Runner,
    seed: number,
    report: Report,
  ): string | null {
    const flush = new Random(seed).chance(30);
    const count = instructionsOf(block, code).length;
    const chooser = new Random(seed ^ 0x2545f491);
    const most = block.loops ? 40 : count;
    const budget = chooser.chance(60) ? most : 1 + chooser.below(most);
    const results = [this.reference, jit].map((r) => {
      prepare(r.machine, block, code, seed);
      if (flush) r.machine.mmu.flushAll();
      return r.run(budget);
    }) as [StepResult, StepResult];
    report.runs++;
    const rip = Number(this.reference.machine.state.get64('rip'));
    if (results[0] !== 'ok') report.faultedAt.add(rip - startOf(block));
    else if (budget === most) report.completed++;
    const [left, other] = [this.reference, jit].map((r) => r.machine.state.get('budget'));
    if (left !== other) return `budget left: ${left} against ${other}`;
    return firstDifference(this.reference.machine, jit.machine, ...results);
  }
}

function startOf(block: GoldenBlock): number {
  return block.setup === 'real' ? 0 : CODE;
}

function prepare(m: Machine, block: GoldenBlock, code: Uint8Array, seed: number): void {
  const random = new Random(Math.imul(seed, 0x9e3779b1));
  const { state } = m;
  randomState(m, seed);
  randomFlags(m, random);
  block.pointers.forEach((name, n) => {
    const astray = random.below(block.pointers.length * 2) === n;
    state.setGpr(
      GPR.indexOf(name as never),
      BigInt(astray ? strange(random, m.setup) : ordinary(random, m.setup)),
    );
  });
  block.prepare?.(m, random);
  const at = block.setup === 'real' ? CODE : startOf(block);
  writeRam(m, at, code);
  writeRam(m, CODE + 0x80, SUBROUTINE);
  state.set64('rip', BigInt(startOf(block)));
}

function ordinary(random: Random, setup: Setup): number {
  const at = random.below(0x4000) & (random.chance(80) ? ~15 : ~0);
  return setup === 'real' ? at : WORLD.data.at + at;
}

function strange(random: Random, setup: Setup): number {
  const k = random.below(60) - 32;
  if (setup === 'real') return 0xffff - random.below(8);
  const place = random.pick(PLACES)(k);
  return isLong(setup) ? place : place % 0x100000000;
}

export function assembleBlock(block: GoldenBlock): Uint8Array {
  const asm = new Assembler(modeOf(block.setup ?? 'long'), startOf(block));
  return asm.text(block.code).finish();
}

function instructionsOf(block: GoldenBlock, code: Uint8Array): { d: Decoded; at: number }[] {
  const out: { d: Decoded; at: number }[] = [];
  for (let at = 0; at < code.length; ) {
    const d = decode(code, at, code.length, modeOf(block.setup ?? 'long'));
    if ('failure' in d) throw new Error(`${block.name}: no instruction at ${at}`);
    out.push({ d, at });
    at += d.length;
  }
  return out;
}

/** Offsets of the instructions that touch memory. */
export function memoryInstructions(block: GoldenBlock): number[] {
  return instructionsOf(block, assembleBlock(block))
    .filter(({ d }) =>
      programOf(d).nodes.some((n) => n.op === 'load' || n.op === 'store' || n.op === 'probe'),
    )
    .map(({ at }) => at);
}

/** Assembler text, specialised IR and WebAssembly text of the block (or of its first `blocks` basic blocks). */
export function goldenText(block: GoldenBlock): string {
  const code = assembleBlock(block);
  const basic: { d: Decoded; at: number }[][] = [[]];
  for (const insn of instructionsOf(block, code)) {
    basic.at(-1)?.push(insn);
    if (programOf(insn.d).ends) basic.push([]);
  }
  return basic
    .slice(0, block.blocks ?? 1)
    .map((insns) => basicText(block, insns))
    .join('\n');
}

function basicText(block: GoldenBlock, insns: readonly { d: Decoded; at: number }[]): string {
  const start = startOf(block) + (insns[0]?.at ?? 0);
  const programs = liveParts(insns.map((i) => jitForm(i.d)));
  const ir = insns.map(({ d, at }, i) => {
    const rip = startOf(block) + at;
    const head = `${rip.toString(16)}  ${disasm(d, rip)}`;
    return [
      head,
      ...printProgram(programs[i]?.nodes ?? [], d.regs).map((line) => `    ${line}`),
    ].join('\n');
  });
  return `${ir.join('\n')}\n\n${textOf(block, insns, start)}`;
}

/** Records of tier 0 as they would lie: the head, then one for each instruction. */
function textOf(block: GoldenBlock, insns: readonly { d: Decoded }[], start: number): string {
  const head = 0x100000;
  const record = head + RECORD_BYTES;
  const last = record + (insns.length - 1) * RECORD_BYTES;
  const blocks = [
    { insns: insns.map((i) => i.d), offset: start & 0xfff, head, record, last, leaves: false },
  ];
  const mode = modeOf(block.setup ?? 'long');
  if (mode === 16) return '(tier 0 runs 16-bit code)\n';
  return regionText({ blocks, mode, flat: false, place: null }, { slowId: slowNumber }, slowNameOf);
}
