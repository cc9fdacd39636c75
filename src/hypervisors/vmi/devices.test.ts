// Clocks, alarms, the local APIC and ports, called as vmiclock_32.c and drivers of 2.6.32 would.

import { describe, expect, it } from 'vitest';
import { type KernelOptions, runVmiKernel } from './testing/kernel.ts';

const IRQ0 = 32;
const FIRST_DEVICE_VECTOR = 0x41;
/** ICW1 to ICW4, IRQ 0 at vector 0x20 and alone unmasked. */
const PIC = `
  mov al, 0x11
  out 0x20, al
  mov al, 0x20
  out 0x21, al
  mov al, 4
  out 0x21, al
  mov al, 1
  out 0x21, al
  mov al, 0xfe
  out 0x21, al
`;
/** vmi_time_init: the PIT is put into mode 5, which is silent. */
const PIT = 'mov al, 0x3a\nout 0x43, al\n';
/** vmi_timer_ops.set_alarm: flags, a time from now on the counter in the flags, a period. */
const setAlarm = (flags: number, ahead: number, period = 0) => `
  mov eax, ${flags & 0xff}
  call {GetCycleCounter}
  push 0
  push ${period}
  mov ecx, edx
  mov edx, eax
  add edx, ${ahead}
  mov eax, ${flags}
  call {SetAlarm}
  add esp, 8
`;
const COUNT = `
  tick:
    inc dword ptr [report]
    push eax
    mov al, 0x20
    out 0x20, al
    pop eax
    iretd
`;
const PERIODIC = 0x100;
const LVTT = 0x10000;

const run = (text: string, options: KernelOptions = {}) =>
  runVmiKernel(text, { traps: { [IRQ0]: 'tick' }, ...options });

describe('clocks', () => {
  it('GetCycleFrequency is the rate of the TSC, 1 GHz', () => {
    const { word } = runVmiKernel(
      'call {GetCycleFrequency}\nmov [report], eax\nmov [report+4], edx',
    );
    expect([word(0), word(1)]).toEqual([1_000_000_000, 0]);
  });

  it('GetCycleCounter: real and available time go on alike, nothing is stolen, others are 0', () => {
    const ask = (n: number) =>
      `mov eax, ${n}\ncall {GetCycleCounter}\nmov [report+${4 * n}], eax\n`;
    const { word } = runVmiKernel([0, 1, 2, 3].map(ask).join(''));
    expect(word(1) - word(0)).toBe(5);
    expect([word(2), word(3)]).toEqual([0, 0]);
  });

  it('GetWallclockTime is nanoseconds since 1970, and WallclockUpdated says no', () => {
    const { word, platform } = runVmiKernel(
      'call {GetWallclockTime}\nmov [report], eax\nmov [report+4], edx\ncall {WallclockUpdated}\nmov [report+8], eax',
    );
    const nanos = (BigInt(word(1)) << 32n) | BigInt(word(0) >>> 0);
    expect(nanos / 1_000_000_000n).toBe(BigInt(platform.epochSeconds));
    expect(word(2)).toBe(0);
  });
});

describe('an alarm', () => {
  it('comes as IRQ 0 once, wakes a halted processor, and CancelAlarm finds it gone', () => {
    const { word } = run(`${PIT}${PIC}${setAlarm(0, 10_000)}
      call {Halt}
      call {RDTSC}
      mov [report+4], eax
      mov eax, 0
      call {CancelAlarm}
      mov [report+8], eax
      hlt
      ${COUNT}`);
    expect([word(0), word(2)]).toEqual([1, 0]);
    expect(word(1)).toBeGreaterThan(10_000);
    expect(word(1)).toBeLessThan(10_200);
  });

  it('that repeats has its first expiry now and keeps its series', () => {
    const { word } = run(`${PIT}${PIC}${setAlarm(PERIODIC, 0, 1_000_000)}
    again:
      call {Halt}
      cmp dword ptr [report], 5
      jb again
      call {RDTSC}
      mov [report+4], eax
      mov eax, 0
      call {CancelAlarm}
      mov [report+8], eax
      hlt
      ${COUNT}`);
    expect([word(0), word(2)]).toEqual([5, 1]);
    expect(Math.floor(word(1) / 1000)).toBe(4000);
  });

  it('that was missed rings once and goes on with what is still to come', () => {
    const { word } = run(`${PIT}${PIC}${setAlarm(PERIODIC, 0, 10_000)}
      mov ecx, 30000
    burn:
      loop burn
      call {Halt}
      mov eax, [report]
      mov [report+4], eax
      call {Halt}
      call {RDTSC}
      mov [report+8], eax
      hlt
      ${COUNT}`);
    expect(word(1)).toBe(1);
    expect(Math.floor(word(2) / 1000)).toBe(40);
  });

  it('with a period of 0 rings once, whatever the flag says; setting it again takes its place', () => {
    const { word } = run(`${PIT}${PIC}${setAlarm(PERIODIC, 500_000)}${setAlarm(PERIODIC, 2_000)}
      call {Halt}
      call {RDTSC}
      mov [report+4], eax
      call {Halt}
      ${COUNT}`);
    expect(word(0)).toBe(1);
    expect(word(1)).toBeLessThan(10_000);
  });

  it('on counter 1 is another one; on counter 2 or 9 it is a no-op', () => {
    const { word, stop } =
      run(`${PIT}${PIC}${setAlarm(0, 1_000)}${setAlarm(1, 50_000)}${setAlarm(2, 10)}${setAlarm(9, 10)}
      call {Halt}
      call {Halt}
      mov eax, 2
      call {CancelAlarm}
      mov [report+4], eax
      call {Halt}
      ${COUNT}`);
    expect([word(0), word(1), stop.kind]).toEqual([2, 0, 'idle']);
  });

  it('cancelled does not ring', () => {
    const { word, stop } = run(`${PIT}${PIC}${setAlarm(PERIODIC, 5_000, 1000)}
      mov eax, ${PERIODIC}
      call {CancelAlarm}
      mov [report+4], eax
      call {Halt}
      ${COUNT}`);
    expect([word(0), word(1), stop.kind]).toEqual([0, 1, 'idle']);
  });

  it('that repeats at every cycle leaves its guest time to run', () => {
    const { word, stop } = run(`${PIT}${PIC}${setAlarm(PERIODIC, 0, 1)}
      sti
      mov ecx, 20000
    burn:
      loop burn
      mov dword ptr [report+4], 1
      cli
      hlt
      ${COUNT}`);
    expect([word(1), stop.kind]).toEqual([1, 'dead']);
  });

  it('wired to LVTT comes by the vector there, and not while it is masked', () => {
    const { word } = run(
      `${PIT}${PIC}
      mov eax, 0xf0
      mov edx, 0x1ff
      call {APICWrite}
      mov eax, 0x320
      mov edx, ${LVTT | FIRST_DEVICE_VECTOR}
      call {APICWrite}
      sti
      ${setAlarm(LVTT, 1_000)}
      mov ecx, 3000
    burn:
      loop burn
      mov eax, [report+4]
      mov [report+8], eax
      mov eax, 0xfee00320
      mov edx, ${FIRST_DEVICE_VECTOR}
      call {APICWrite}
      ${setAlarm(LVTT, 1_000)}
      call {Halt}
      mov eax, 0x320
      call {APICRead}
      mov [report+12], eax
      hlt
    lvtt:
      inc dword ptr [report+4]
      pushad
      mov eax, 0xb0
      mov edx, 0
      call {APICWrite}
      popad
      iretd
      ${COUNT}`,
      { traps: { [IRQ0]: 'tick', [FIRST_DEVICE_VECTOR]: 'lvtt' } },
    );
    expect([word(0), word(1), word(2), word(3)]).toEqual([0, 1, 0, FIRST_DEVICE_VECTOR]);
  });

  it('goes on after a restore', () => {
    const text = `${PIT}${PIC}${setAlarm(PERIODIC, 1_000, 5_000)}
      call {Halt}
      ${COUNT}`;
    const { platform } = run(text, { instructions: 60 });
    const saved = platform.snapshots.save();
    platform.snapshots.restore(saved);
    expect(platform.snapshots.save()).toEqual(saved);
    expect(platform.clock.nextDeadline()).toBeGreaterThan(1_000);
  });
});

describe('SetInitialAPState', () => {
  it('takes a state from the stack, not aligned to a page, for a processor that is not there', () => {
    const { stop, gpr } = runVmiKernel(
      'mov ebx, 7\nlea eax, [esp-120]\nmov edx, 1\ncall {SetInitialAPState}',
    );
    expect([stop.kind, gpr(3)]).toEqual(['dead', 7]);
  });

  it('faults on a state that cannot be read', () => {
    const { word } = runVmiKernel(
      `
      mov eax, 0x70000000
      mov edx, 1
      call {SetInitialAPState}
      hlt
    fault:
      mov dword ptr [report], 1`,
      { traps: { 14: 'fault' } },
    );
    expect(word(0)).toBe(1);
  });
});

describe('ports', () => {
  it('INB, INW and INL change as much of EAX as they read, and nothing else', () => {
    const { word, gpr } = runVmiKernel(`
      mov al, 0x5a
      out 0x80, al
      mov ecx, 0x22
      mov eax, 0x11111111
      mov edx, 0x3fd
      call {INB}
      mov [report], eax
      mov eax, 0x11111111
      mov edx, 0x5000
      call {INW}
      mov [report+4], eax
      call {INL}
      mov [report+8], eax`);
    expect([word(0), word(1), word(2) >>> 0]).toEqual([0x11111160, 0x1111ffff, 0xffffffff]);
    expect([gpr(1), gpr(2)]).toEqual([0x22, 0x5000]);
  });

  it('OUTB, OUTW, OUTL and the string calls reach the port', () => {
    const printed: number[] = [];
    const { gpr } = runVmiKernel(
      `
      mov eax, 0x41
      mov edx, 0x3f8
      call {OUTB}
      mov dword ptr [report], 0x44434241
      mov esi, report
      mov ecx, 4
      call {OUTSB}
      mov eax, 0x4241
      mov edx, 0x80
      call {OUTW}
      call {OUTL}
      mov edi, report
      mov edx, 0x3fd
      mov ecx, 3
      cld
      call {INSB}
      mov ecx, 0
      call {INSL}
      call {IODelay}`,
      { transmit: (byte) => void printed.push(byte) },
    );
    expect(String.fromCharCode(...printed)).toBe('AABCD');
    const [, ecx, edx, , , , esi, edi] = [0, 1, 2, 3, 4, 5, 6, 7].map(gpr);
    expect([ecx, edx]).toEqual([0, 0x3fd]);
    expect([esi! & 0xfff, edi! & 0xfff]).toEqual([4, 3]);
  });

  it('a string that ends in a page that is not there faults with what is left in ECX', () => {
    const { word } = runVmiKernel(
      `
      mov edi, 0xc0fffffe
      mov edx, 0x3fd
      mov ecx, 8
      call {INSB}
      hlt
    fault:
      mov [report], ecx
      mov [report+4], edi`,
      { traps: { 14: 'fault' } },
    );
    expect([word(0), word(1) >>> 0]).toEqual([6, 0xc1000000]);
  });

  it('MachineToPhysical and PhysicalToMachine give back what they get', () => {
    const { gpr } = runVmiKernel(
      'mov eax, 0x12345000\ncall {MachineToPhysical}\ncall {PhysicalToMachine}',
    );
    expect(gpr(0)).toBe(0x12345000);
  });
});

describe('a trace', () => {
  it('has each call by name with its words, its answer and its operation', () => {
    const seen: unknown[][] = [];
    runVmiKernel(
      `
      call {Init}
      mov eax, 3
      call {FlushTLB}
      mov eax, 0x70000000
      mov edx, 0
      mov ecx, 0
      push 0
      call {WriteGDTEntry}
      hlt
    fault:
      call {GetCycleFrequency}`,
      { seen: (...event) => void seen.push(event), traps: { 14: 'fault' } },
    );
    expect(seen).toEqual([
      ['VMI_Init', {}, 0],
      ['VMI_FlushTLB', { how: '0x3' }, null, 'mmu.flush_tlb_kernel'],
      [
        'VMI_WriteGDTEntry',
        { table: '0x70000000', index: '0x0', low: '0x0', high: '0x0' },
        'fault 14',
        undefined,
      ],
      ['VMI_GetCycleFrequency', {}, '0x3b9aca00', undefined],
    ]);
  });
});

it.each(['interpreter', 'jit'] as const)(
  'the %s runs the same calls with the same answers',
  (engine) => {
    const text = `${PIT}${PIC}${setAlarm(0, 10_000)}
      call {Halt}
      mov ebx, 3000
    again:
      call {DisableInterrupts}
      call {GetInterruptMask}
      add [report+8], eax
      call {EnableInterrupts}
      call {GetInterruptMask}
      add [report+12], eax
      mov eax, 0xc0300000
      push eax
      pushfd
      pop eax
      call {SetInterruptMask}
      push cs
      push next
      pop eax
      pushfd
      push 0x60
      push eax
      call {IRET}
    next:
      add esp, 8
      dec ebx
      jne again
      call {RDTSC}
      mov [report+16], eax
      hlt
      ${COUNT}`;
    const words = (run_: ReturnType<typeof run>) => [0, 2, 3, 4].map(run_.word);
    expect(words(run(text, { engine }))).toEqual(words(run(text)));
  },
);
