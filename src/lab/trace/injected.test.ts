// One answer among many is made another: the diff of the two runs finds it, and names its operation and its caller.

import { describe, expect, it } from 'vitest';
import { findInterface, type InterfaceChoice } from '../../hypervisors/index.ts';
import { symbolTable } from '../../image/index.ts';
import { runKernel } from '../run.ts';
import {
  CLI_LOOP,
  KeepingConsole,
  LOAD_AT,
  printing,
  stillHost,
  tinySpec,
} from '../testing/tiny-kernel.ts';
import { compareTraces } from './diff.ts';
import type { Trace } from './read.ts';
import { type TraceEvent, Tracer } from './tracer.ts';

const BANNER = Array.from('Linux version 6.1.0 (made up)\0', (letter) => letter.charCodeAt(0));
const ROUNDS = 40;
/** mov eax, call; vmcall; test eax, eax; jz +5; then, if it was refused: xor eax, eax; cpuid; nop */
const calling = (number: number) => [
  ...[0xb8, number, 0, 0, 0, 0x0f, 0x01, 0xc1],
  ...[0x85, 0xc0, 0x74, 0x05, 0x31, 0xc0, 0x0f, 0xa2, 0x90],
];
/** Calls of KVM that are 0 if nothing goes wrong, and what they serve. */
const CALLS = [
  { number: 5, name: 'KVM_HC_KICK_CPU', symbol: 'kick_cpu', operation: 'lock.kick' },
  {
    number: 11,
    name: 'KVM_HC_SCHED_YIELD',
    symbol: 'yield_cpu',
    operation: 'smp.send_call_func_ipi',
  },
] as const;

/** mov esi, rounds; loop: both calls; dec esi; jnz loop. CPUID destroys EBX, ECX and EDX. */
function program() {
  const bodies = CALLS.map(({ number }) => calling(number));
  const body = bodies.flat();
  const loop = [0xbe, ROUNDS, 0, 0, 0, ...body, 0x4e, 0x0f, 0x85];
  const back = -(body.length + 1 + 6);
  const code = [...loop, back & 0xff, 0xff, 0xff, 0xff, ...printing('INIT-UP\n'), ...CLI_LOOP];
  const first = LOAD_AT + 5;
  const symbols = symbolTable([
    { address: LOAD_AT, type: 't', name: 'start' },
    { address: first, type: 't', name: CALLS[0].symbol },
    { address: first + bodies[0]!.length, type: 't', name: CALLS[1].symbol },
    { address: LOAD_AT + 5 + body.length, type: 't', name: 'rest' },
    { address: LOAD_AT + code.length, type: 'd', name: '_end' },
  ]);
  return { code: [...code, ...BANNER], symbols };
}

async function traceOf(on: InterfaceChoice): Promise<Trace> {
  const { code, symbols } = program();
  const spec = tinySpec(code, { on });
  const events: TraceEvent[] = [];
  const tracer = new Tracer(on.interface.ops, on.version, {
    operations: null,
    onEvent: (event) => events.push(event),
    symbols,
    elf: spec.kernel!.elf(),
  });
  const result = await runKernel(stillHost, new KeepingConsole(), spec, { tracer });
  expect(result.verdict).toBe('up');
  const head = {
    kernel: 'tiny',
    sha256: '0',
    interface: on.name,
    operations: null,
    watched: false,
  };
  return { head, events, cut: false };
}

/** The same interface, but for the n-th time that one entry point is asked for: there it says that it has none. */
function refusingOnce(name: string, n: number): InterfaceChoice {
  const choice = findInterface('kvm');
  let asked = 0;
  const lacks = (part: string) => part === name && asked++ === n;
  const attach: typeof choice.interface.attach = (platform, version) =>
    choice.interface.attach({ ...platform, lacks }, version);
  return { ...choice, interface: { ...choice.interface, attach } };
}

describe('one divergence in a run', async () => {
  const whole = await traceOf(findInterface('kvm'));

  it('is none in a second run of the same', async () => {
    expect(compareTraces(whole, await traceOf(findInterface('kvm')))).toMatchObject({
      divergenceCount: 0,
      onlyTime: 0,
      unequal: [],
    });
  });

  it.each(Array.from({ length: 10 }, (_, n) => n))('is found with seed %d', async (seed) => {
    const random = Math.imul(seed + 1, 0x9e3779b1) >>> 0;
    const target = CALLS[random % CALLS.length]!;
    const n = (random >>> 8) % ROUNDS;
    const found = compareTraces(whole, await traceOf(refusingOnce(target.name, n)));
    const [answer, more] = found.divergences;
    expect(found.divergenceCount).toBe(2);
    expect(answer?.kind).toBe('answer');
    for (const [side, effect] of [0, -1000].entries()) {
      const [event] = answer!.events[side]!;
      expect(event).toMatchObject({ entryPoint: target.name, effect });
      expect(event?.operations).toContain(target.operation);
      expect(event?.caller).toMatch(new RegExp(`^${target.symbol}\\+0x`));
    }
    // What the guest then did differently.
    expect(more?.kind).toBe('asked');
    expect(more?.events[0]).toEqual([]);
    expect(more?.events[1]).toMatchObject([{ entryPoint: 'CPUID' }]);
    expect(found.unequal).toMatchObject([
      { operation: 'cpu.cpuid', caller: target.symbol, counts: [0, 1] },
    ]);
  });
});
