// Runs of tiny guests that are traced: what is reported, by what name, and that nothing else changes.

import { describe, expect, it } from 'vitest';
import { findInterface } from '../../hypervisors/index.ts';
import { runKernel } from '../run.ts';
import type { RunSpec } from '../spec.ts';
import { CLI_LOOP, KeepingConsole, printing, stillHost, tinySpec } from '../testing/tiny-kernel.ts';
import { startTrace } from './session.ts';
import type { TraceEvent } from './tracer.ts';

const END = [...printing('INIT-UP\n'), ...CLI_LOOP];
const CR0_AND_BACK = [0x0f, 0x20, 0xc0, 0x0f, 0x22, 0xc0]; // mov eax, cr0; mov cr0, eax
const INVLPG_1000 = [0x0f, 0x01, 0x3d, 0x00, 0x10, 0x00, 0x00];
const CLTS = [0x0f, 0x06];
const READ_CR2 = [0x0f, 0x20, 0xd0]; // mov eax, cr2
const CR3_AND_BACK = [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8];
const NEW_CR3 = [0xb8, 0x00, 0x50, 0x00, 0x00, 0x0f, 0x22, 0xd8]; // mov eax, 0x5000; mov cr3, eax
const CPUID_1 = [0xb8, 1, 0, 0, 0, 0x0f, 0xa2];
const OUT_80 = [0xe6, 0x80];
/** mov ecx, msr; xor eax, eax; xor edx, edx; wrmsr */
const clearMsr = (n: number) => [
  ...[0xb9, n & 0xff, (n >>> 8) & 0xff, (n >>> 16) & 0xff, n >>> 24],
  ...[0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30],
];
const kickCpu = [0xb8, 5, 0, 0, 0, 0x0f, 0x01, 0xc1]; // mov eax, KVM_HC_KICK_CPU; vmcall

async function traced(code: readonly number[], on = 'native', operations: string | null = null) {
  const spec = tinySpec([...code, ...END], { on: findInterface(on) } satisfies Partial<RunSpec>);
  const head = { kernel: 'tiny', sha256: '0' };
  const session = startTrace({ on: spec.on, head, operations, format: 'jsonl' });
  let text = '';
  const flush = async () => {
    text += session.take().join('');
  };
  const watcher = { tracer: session.tracer, flush };
  const result = await runKernel(stillHost, new KeepingConsole(), spec, watcher);
  text += session.finish().join('');
  const [first = '', ...lines] = text.trimEnd().split('\n');
  return {
    result,
    head: JSON.parse(first) as Record<string, unknown>,
    events: lines.map((line) => JSON.parse(line) as TraceEvent),
    counts: session.tracer.counts(),
    plain: await runKernel(stillHost, new KeepingConsole(), spec),
  };
}

describe('a traced run', () => {
  const code = [...CR0_AND_BACK, ...CLTS, ...INVLPG_1000, ...CPUID_1, ...OUT_80];

  it('names the operations, their entry points, arguments and effects, at their instruction counts', async () => {
    const { head, events } = await traced(code);
    expect(head).toMatchObject({ format: 'pvops-trace-3', interface: 'native', kernel: 'tiny' });
    const named = events.map(({ operations, entryPoint, retired }) => [
      operations[0],
      entryPoint,
      retired,
    ]);
    expect(named.slice(0, 6)).toEqual([
      ['cpu.read_cr0', 'MOV from CR0', 0],
      ['cpu.write_cr0', 'MOV to CR0', 1],
      ['cpu.clts', 'CLTS', 2],
      ['mmu.flush_tlb_single', 'INVLPG', 3],
      ['cpu.cpuid', 'CPUID', 5],
      ['cpu.io_delay', 'OUT', 6],
    ]);
    expect(events[3]?.args).toEqual({ address: 0x1000 });
    expect(events[4]?.args).toEqual({ leaf: 1, subleaf: 0 });
  });

  it('ends as the same run does untraced: the same count, the same state', async () => {
    const { result, plain } = await traced(code);
    expect(result.verdict).toBe('up');
    expect(result.instructions).toBe(plain.instructions);
    expect(result.stateHash).toBe(plain.stateHash);
    expect(result.exits).toEqual(plain.exits);
  });

  it('counts what a run counts of which nobody reads events', async () => {
    const often = [...READ_CR2, ...CR3_AND_BACK, ...NEW_CR3, ...INVLPG_1000, ...INVLPG_1000];
    const { counts, plain } = await traced([...code, ...often]);
    const numbers = counts.map(({ operations, entryPoint, count }) => ({
      ...{ operations, entryPoint, count },
    }));
    expect(plain.operations).toEqual(numbers);
    const of = (id: string) => numbers.filter(({ operations }) => operations[0] === id);
    expect(of('mmu.flush_tlb_single')[0]?.count).toBe(3);
    for (const id of ['mmu.read_cr2', 'mmu.read_cr3', 'mmu.write_cr3', 'mmu.flush_tlb_user'])
      expect(of(id)[0]?.count).toBe(1);
  });

  it('keeps to the operations that were asked for', async () => {
    const { events, counts } = await traced(code, 'native', 'cpu.write_*,mmu.*');
    expect(events.map(({ entryPoint }) => entryPoint)).toEqual(['MOV to CR0', 'INVLPG']);
    expect(counts.map(({ count }) => count)).toEqual([1, 1]);
  });

  it('knows the interface’s own entry points, and by its manifest what they may serve', async () => {
    const MSR_KVM_POLL_CONTROL = 0x4b564d05;
    const MSR_KVM_STEAL_TIME = 0x4b564d03;
    const code = [...clearMsr(MSR_KVM_STEAL_TIME), ...clearMsr(MSR_KVM_POLL_CONTROL), ...kickCpu];
    const { counts, result } = await traced(code, 'kvm');
    const found = new Map(counts.map((one) => [one.entryPoint, one.operations]));
    expect(found.get('MSR_KVM_STEAL_TIME')).toContain('time.steal_clock');
    expect(found.get('MSR_KVM_POLL_CONTROL')).toEqual([]);
    expect(found.get('KVM_HC_KICK_CPU')).toEqual(['lock.kick']);
    expect(result.verdict).toBe('up');
  });

  it('says what was refused', async () => {
    const { events } = await traced([0x0f, 0x01, 0xc1]); // vmcall, on bare hardware #UD
    expect(events[0]).toMatchObject({ entryPoint: 'VMCALL', effect: '#UD' });
  });

  it('counts the same thing under one name', async () => {
    const { counts } = await traced([...OUT_80, ...OUT_80, ...OUT_80]);
    expect(counts.find(({ operations }) => operations[0] === 'cpu.io_delay')?.count).toBe(3);
  });
});
