// One vCPU with a megabyte of RAM in the little world of CPU tests, and what an engine needs to step it.

import type { Engine as CoreEngine, EngineParts } from '../core.ts';
import { FRAME_DIRTY } from '../frames.ts';
import { LEAVE } from '../interp/quick-deliver.ts';
import { createMmu, type Mmu } from '../mmu.ts';
import { modeChanged } from '../modes.ts';
import { type Layout, layoutFor, MODE_KEY_FLAT, State, type Views, viewsOf } from '../state.ts';
import { type RecordingBorder, recordingBorder } from './border.ts';
import { enterSetup, pristineRam, RAM_BYTES, type Setup } from './world.ts';

export type StepResult = 'ok' | { readonly fault: number; readonly error: number | null };

/** What is compared: the reference, the interpreter, the JIT. */
export interface Engine {
  readonly name: string;
  /** Runs the instruction at RIP (of a repeated string instruction one iteration). A fault is reported, not delivered. */
  step(machine: Machine): StepResult;
}

export interface Machine {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly views: Views;
  readonly state: State;
  readonly mmu: Mmu;
  readonly border: RecordingBorder;
  readonly cx: EngineParts['cx'];
  /** The engine that runs on this machine, once one has. */
  engine: CoreEngine | null;
  setup: Setup;
  retired: number;
  /** Attributes of the frames as the MMU set them at the start. */
  readonly frameAttrs: Uint8Array;
  /** Stores to decoded code that the MMU reported. */
  readonly codeWrites: { gpa: number; bytes: number }[];
  /** Frames that a test itself has written since the last reset: 1. */
  readonly touched: Uint8Array;
  resets: number;
}

const GP = 13;
const UD = 6;

const pristine = pristineRam();
const FRAMES = RAM_BYTES >>> 12;
/** Resets and comparisons trust the dirty marks of frames, but for one in so many. */
const WHOLE_EVERY = 64;

export function createMachine(setup: Setup = 'long'): Machine {
  const layout = layoutFor(RAM_BYTES);
  const pages = Math.ceil((layout.ramBase + RAM_BYTES) / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  const views = viewsOf(memory);
  const state = new State(views, layout.state);
  enterSetup(state, setup);
  setMode(state, layout);
  const border = recordingBorder();
  const codeWrites: Machine['codeWrites'] = [];
  const hooks = {
    mayActNow: () => machine.engine?.mayActNow() ?? true,
    restart: () => machine.engine?.restart(),
    codeAt: (gpa: number, bytes: number) => machine.engine?.codeAt(gpa, bytes) ?? false,
    codeWritten: (gpa: number, bytes: number) => {
      codeWrites.push({ gpa, bytes });
      machine.engine?.codeWritten(gpa, bytes);
    },
  };
  const mmu = createMmu({ state, layout, border, hooks });
  const machine: Machine = {
    memory,
    layout,
    views,
    state,
    mmu,
    border,
    setup,
    engine: null,
    retired: 0,
    codeWrites,
    touched: new Uint8Array(FRAMES),
    resets: 0,
    frameAttrs: views.u8.slice(layout.frameAttrs, layout.frameAttrs + (RAM_BYTES >>> 12)),
    cx: {
      state,
      mmu,
      border,
      insn: { osize: 64, asize: 64, mode: 64, length: 1 },
      retired: () => machine.retired,
      tsc: () => BigInt.asUintN(64, BigInt(machine.cx.retired()) + state.get64('tscOffset')),
      modeChanged: () => setMode(state, layout),
      checkInterrupts: () => {},
      enter: null,
    },
  };
  views.u8.set(pristine, layout.ramBase);
  resetMachine(machine, setup);
  return machine;
}

/** RAM, registers and TLBs as at the start. */
export function resetMachine(machine: Machine, setup: Setup = machine.setup): void {
  const { views, layout, state } = machine;
  machine.mmu.flushAll();
  for (let gpa = 0; gpa < RAM_BYTES; gpa += 4096)
    if (machine.engine?.codeAt(gpa, 4096)) machine.engine.codeWritten(gpa, 4096);
  machine.setup = setup;
  machine.retired = 0;
  machine.border.log.length = 0;
  machine.codeWrites.length = 0;
  restoreRam(machine);
  views.u8.set(machine.frameAttrs, layout.frameAttrs);
  enterSetup(state, setup);
  setMode(state, layout);
}

/** RAM of a machine that has been reset differs from the pristine one in these frames only. */
export function mayDiffer({ views, layout, touched, resets }: Machine, frame: number): boolean {
  const dirty = (views.u8[layout.frameAttrs + frame] as number) & FRAME_DIRTY;
  return dirty !== 0 || touched[frame] !== 0 || resets % WHOLE_EVERY === 0;
}

function restoreRam(machine: Machine): void {
  const { views, layout, touched } = machine;
  for (let frame = 0; frame < FRAMES; frame++) {
    if (!mayDiffer(machine, frame)) continue;
    const at = frame << 12;
    views.u8.set(pristine.subarray(at, at + 4096), layout.ramBase + at);
  }
  touched.fill(0);
  machine.resets++;
}

/** Segments count as not flat, so that the engines' checks are compared too. */
function setMode(state: State, layout: Layout): void {
  modeChanged(state, layout);
  state.set('modeKey', state.get('modeKey') & ~MODE_KEY_FLAT);
}

/** Makes `to` (reset before) equal to `from`: registers and RAM. */
export function copyMachine(from: Machine, to: Machine): void {
  resetMachine(to, from.setup);
  const ram = from.views.u8.subarray(from.layout.ramBase, from.layout.ramBase + RAM_BYTES);
  writeRam(to, 0, ram);
  const state = from.views.u8.subarray(from.state.base, from.state.base + 0x800);
  to.views.u8.set(state, to.state.base);
  setMode(to.state, to.layout);
}

/** A core engine as one that is stepped: one instruction of budget, faults reported. */
export function engineOf(name: string, create: (parts: EngineParts) => CoreEngine): Engine {
  return {
    name,
    step(machine) {
      const { state } = machine;
      machine.engine ??= create(partsOf(machine));
      state.set('budget', 1);
      state.set('slack', 0);
      state.setVa('horizon', machine.retired + 1);
      state.set('attention', 0);
      state.set('faultsStop', 1);
      const stop = machine.engine.run();
      if (stop !== 'fault') {
        machine.retired++;
        return 'ok';
      }
      const error = state.get('faultHasError') ? state.get('faultError') : null;
      return { fault: state.get('faultVector'), error };
    },
  };
}

/** None is ever taken within the engine, and nothing done that is due. */
export const NO_INTERRUPTS: Pick<EngineParts, 'acknowledge' | 'due' | 'deliver'> = {
  acknowledge: () => LEAVE,
  due: () => 0,
  deliver: () => 0,
};

/** What an engine gets to know of it. */
export function partsOf(machine: Machine): EngineParts {
  const { memory, views, layout, state, mmu, cx } = machine;
  const undecodable: EngineParts['undecodable'] = (_, why) => {
    if (why === 'too-long') state.raise(GP, 0);
    else state.raise(UD, null);
  };
  return { memory, views, layout, state, mmu, cx, undecodable, ...NO_INTERRUPTS };
}

export function writeRam(
  machine: Machine,
  gpa: number,
  bytes: readonly number[] | Uint8Array,
): void {
  machine.views.u8.set(bytes, machine.layout.ramBase + gpa);
  if (bytes.length > 0) machine.touched.fill(1, gpa >>> 12, ((gpa + bytes.length - 1) >>> 12) + 1);
}

export function readRam(machine: Machine, gpa: number, bytes: number): Uint8Array {
  const at = machine.layout.ramBase + gpa;
  return machine.views.u8.slice(at, at + bytes);
}
