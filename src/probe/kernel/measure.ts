// What things cost: rounds of one thing between two readings of the time stamp counter, which counts instructions here.

import { armClock } from '../clock.ts';
import { flushWindow, openWindow, setWindow } from '../page-entry.ts';
import type { ProbeEmitter } from './answers.ts';
import { emitSay } from './print.ts';

/** How measurements are made. */
export interface MeasurePlan {
  /** The average is a shift. */
  readonly roundsLog2: number;
  /** All of it twice, of which the second counts, and a line before each, `${BEGIN_WORD} name`: whoever has a clock of his own starts it there, and stops it at the line of the result. */
  readonly announced: boolean;
}

export const COUNTED: MeasurePlan = { roundsLog2: 5, announced: false };
/** Long enough for a host's clock. */
export const TIMED: MeasurePlan = { roundsLog2: 12, announced: true };
export const BEGIN_WORD = 'begin';
const BATCH = 16;

/** {bp} and {bx} are the window's entry and address; a round may lose AX, CX, DX, SI and DI. */
const MEASURES: Readonly<Record<string, (code: ProbeEmitter) => void>> = {
  nothing: () => {},
  null_call: (code) => void code.text('call {word} ptr [ops.null_call]'),
  trap: (code) => void code.text('int 0x80'),
  interrupt(code) {
    const wait = code.fresh('wait');
    code.text('mov {word} ptr [kernel.ticks], 0');
    armClock(code, 1);
    code.text(`${wait}:; cmp dword ptr [kernel.ticks], 0; je ${wait}`);
  },
  set_pte(code) {
    setWindow(code, 'page.a');
    flushWindow(code);
  },
  set_pte_batched(code) {
    code.op('mmu.lazy_mode.enter');
    for (let n = 0; n < BATCH; n++) setWindow(code, n % 2 === 0 ? 'page.a' : 'page.b');
    code.op('mmu.lazy_mode.leave');
  },
  context_switch: (code) => code.op('mmu.read_cr3').op('mmu.write_cr3'),
  flush_tlb_user: (code) => code.op('mmu.flush_tlb_user'),
  flush_tlb_single: (code) => flushWindow(code),
  irq_disable_enable: (code) => code.op('irq.irq_disable').op('irq.irq_enable'),
};

export const MEASURE_NAMES: readonly string[] = Object.keys(MEASURES);

export function emitMeasures(
  code: ProbeEmitter,
  { roundsLog2, announced }: MeasurePlan = COUNTED,
): void {
  code.text('kernel.measures:; mov dword ptr [kernel.scratch+12], 0; .measure_again:');
  openWindow(code);
  code.op('irq.irq_enable');
  for (const [name, round] of Object.entries(MEASURES)) {
    const loop = code.fresh('round');
    emitSay(code, announced ? `${BEGIN_WORD} ${name}\n` : `measure ${name}`);
    code.op('cpu.read_tsc').text('mov [kernel.scratch], eax; mov [kernel.scratch+4], edx');
    code.text(`mov dword ptr [kernel.scratch+8], ${1 << roundsLog2}; ${loop}:`);
    round(code);
    code.text(`dec dword ptr [kernel.scratch+8]; jne ${loop}`);
    code.op('cpu.read_tsc').text('sub eax, [kernel.scratch]; sbb edx, [kernel.scratch+4]');
    code.text(`shrd eax, edx, ${roundsLog2}; push {ax}`);
    emitSay(code, announced ? `measure ${name} cycles=` : ' cycles=');
    code.text('pop {ax}; call kernel.put_hex');
    emitSay(code, '\n');
  }
  code.op('irq.irq_disable');
  setWindow(code, 'page.window');
  flushWindow(code);
  // The first time, a host is busy with getting to know the code.
  if (announced) code.text('xor dword ptr [kernel.scratch+12], 1; jne .measure_again');
  code.text('ret');
}
