// A vCPU without an engine, for tests of the system side: memory, state, a real MMU, and a border that records.

import type { Border } from '../border.ts';
import { createMmu, type Mmu, type MmuHooks } from '../mmu.ts';
import { modeChanged } from '../modes.ts';
import { reset } from '../reset.ts';
import type { Cx, SlowPath } from '../slow/define.ts';
import { ARG_AT, type Layout, layoutFor, State, viewsOf } from '../state.ts';

export interface SmallMachine {
  readonly memory: WebAssembly.Memory;
  readonly layout: Layout;
  readonly state: State;
  readonly mmu: Mmu;
  readonly cx: Cx;
  readonly log: string[];
  /** What the hooks answer; tests change it. */
  readonly engine: {
    mayActNow: boolean;
    hasCode: boolean;
    codeAt?: (gpa: number, bytes: number) => boolean;
  };
  /** Bytes of the running instruction, as `cx.insn` says. */
  readonly insn: { osize: number; asize: number; mode: number; length: number };
  write32(gpa: number, ...values: number[]): void;
  write64(gpa: number, ...values: bigint[]): void;
  read32(gpa: number): number;
  read64(gpa: number): bigint;
  /** Runs a slow path with arguments in its slots. */
  call(path: SlowPath, ...args: (number | bigint)[]): 0 | 1;
  /** The raised fault as `#vector(error)`. */
  fault(): string;
}

export function smallMachine(ramBytes = 1 << 20): SmallMachine {
  const layout = layoutFor(ramBytes);
  const memory = new WebAssembly.Memory({
    initial: Math.ceil((layout.ramBase + ramBytes) / 65536),
  });
  const state = new State(viewsOf(memory), layout.state);
  const log: string[] = [];
  const engine: SmallMachine['engine'] = { mayActNow: true, hasCode: true };
  const hooks: MmuHooks = {
    mayActNow: () => engine.mayActNow,
    restart: () => void log.push('restart'),
    codeAt: (gpa, bytes) => engine.codeAt?.(gpa, bytes) ?? engine.hasCode,
    codeWritten: (gpa, bytes) => void log.push(`code ${gpa.toString(16)}+${bytes}`),
    watchedWritten: (gpa, bytes) => void log.push(`watched ${gpa.toString(16)}+${bytes}`),
  };
  const border = recordingBorder(log);
  const mmu = createMmu({ layout, state, border, hooks });
  const insn = { osize: 64, asize: 64, mode: 64, length: 2 };
  const cx: Cx = {
    state,
    mmu,
    border,
    insn,
    retired: () => 1000,
    tsc: () => 1000n + state.get64('tscOffset'),
    modeChanged: () => modeChanged(state, layout),
    checkInterrupts() {
      if (!state.get('irqLine') && !state.get('nmiPending')) return;
      state.set('attention', 1);
      state.withholdBudget();
    },
    enter: null,
  };
  reset(state);
  cx.modeChanged();
  const access = { ...memoryOf(state, layout), ...calls(cx) };
  return { memory, layout, state, mmu, cx, log, engine, insn, ...access };
}

function memoryOf(state: State, layout: Layout) {
  const { u32, u64 } = state.views;
  return {
    write32: (gpa: number, ...values: number[]) => u32.set(values, (layout.ramBase + gpa) >> 2),
    write64: (gpa: number, ...values: bigint[]) => u64.set(values, (layout.ramBase + gpa) >> 3),
    read32: (gpa: number) => u32[(layout.ramBase + gpa) >> 2] as number,
    read64: (gpa: number) => u64[(layout.ramBase + gpa) >> 3] as bigint,
  };
}

function calls(cx: Cx) {
  const { state } = cx;
  return {
    call(path: SlowPath, ...args: (number | bigint)[]): 0 | 1 {
      args.forEach((value, n) => {
        state.views.u64[(state.base + ARG_AT + n * 16) >> 3] = BigInt.asUintN(64, BigInt(value));
      });
      return path.run(cx);
    },
    fault(): string {
      const error = state.get('faultHasError') ? `(${state.get('faultError')})` : '';
      return `#${state.get('faultVector')}${error}`;
    },
  };
}

function recordingBorder(log: string[]): Border {
  const hex = (n: number) => n.toString(16);
  return {
    ioRead(port, bytes) {
      log.push(`in ${hex(port)}/${bytes}`);
      return 0x12345678;
    },
    ioWrite: (port, bytes, value) => void log.push(`out ${hex(port)}/${bytes}=${hex(value)}`),
    mmioRead(gpa, bytes, out) {
      log.push(`read ${hex(gpa)}/${bytes}`);
      out[0] = 0x33221100;
      out[1] = 0x77665544;
    },
    mmioWrite: (gpa, bytes, lo, hi) =>
      void log.push(`write ${hex(gpa)}/${bytes}=${hex(hi)}:${hex(lo)}`),
    cpuid: (leaf, subleaf, out) => out.set([leaf, subleaf, leaf + 1, subleaf + 1]),
    rdmsr: () => false,
    wrmsr: () => false,
    hypercall: () => false,
    acknowledgeInterrupt: () => -1,
  };
}
