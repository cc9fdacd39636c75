// Exceptions, system calls and returns of a PV guest: the frames that its handlers find, and what Xen emulates before.

import { describe, expect, it } from 'vitest';
import { type ProgramParts, runProgram } from './testing/pv-guest.ts';

const KERNEL_CS = 0xe030;
const USER_CS = 0xe033;
const SS = 0xe02b;
const IF = 0x200;
const CALLBACK_OP = 'callback_op';
const PF = 14;
const GP = 13;
const UD = 6;
/** CALLBACKOP_unregister is the same. */
const XENNMI_unregister_callback = 1;
/** ud2; "xen"; cpuid. */
const FORCED_CPUID = 'bytes 0f 0b 78 65 6e 0f a2';

/** A trap table in page 0 of one entry, for `handler`. */
function trap(p: ProgramParts, vector: number, dpl = 0, masks = false): string {
  const flags = dpl | (masks ? 4 : 0);
  return [
    p.store(p.page(0), BigInt(vector) | (BigInt(flags) << 8n)),
    `lea rax, [handler]; mov rbx, ${p.page(0)}; mov [rbx + 8], rax`,
    p.store(p.page(0) + 16, 0),
    p.store(p.page(0) + 24, 0),
    p.call('set_trap_table', p.page(0)),
  ].join('\n');
}

/** Keeps the words of a frame of `count`, from the top of the stack. */
const frame = (p: ProgramParts, count: number) =>
  Array.from({ length: count }, (_, n) => `mov rax, [rsp + ${n * 8}]; ${p.keep('rax')}`).join('\n');

/** Runs with a handler; results behind that of set_trap_table. */
function trapped(
  vector: number,
  body: (p: ProgramParts) => string,
  handler: (p: ProgramParts) => string,
  engine: 'reference' | 'interpreter' = 'reference',
): number[] {
  const { results, why } = runProgram(
    (p) => [trap(p, vector, 3), body(p), p.done, 'handler:', handler(p), p.done].join('\n'),
    { engine },
  );
  expect(why).toContain('poweroff');
  return results.slice(1);
}

describe.each(['reference', 'interpreter'] as const)('on the %s', (engine) => {
  it('a page fault has RCX, R11, its error code without the user bit, and its address in vcpu_info', () => {
    const all = trapped(
      PF,
      (p) =>
        `mov ecx, 0x11; mov r11d, 0x22; mov r9, rsp; mov rbx, 0x5008; fault:; mov [rbx], eax; ${p.done}`,
      (p) => `${frame(p, 8)}; mov rax, r9; ${p.keep('rax')}; lea rax, [fault]; ${p.keep('rax')}`,
      engine,
    );
    const [rcx, r11, error, rip, cs, rflags, rsp, ss, sp, at] = all as number[];
    expect([rcx, r11, error, cs, ss]).toEqual([0x11, 0x22, 2, KERNEL_CS + 0x1_0000_0000, SS]);
    expect([rip, rsp, rflags! & IF]).toEqual([at, sp, 0]); // Events are masked at the start.
  });
});

it('int n is refused with its vector when the entry is not for the kernel', () => {
  // DPL 0, and the kernel counts as ring 1.
  const { results } = runProgram((p) =>
    [
      p.store(p.page(0), 0x40),
      `lea rax, [handler]; mov rbx, ${p.page(0)}; mov [rbx + 8], rax; mov qword ptr [rbx + 16], ${GP}; mov [rbx + 24], rax`,
      p.store(p.page(0) + 40, 0),
      p.call('set_trap_table', p.page(0)),
      'int 0x40',
      p.done,
      'handler:',
      frame(p, 3),
      p.done,
    ].join('\n'),
  );
  expect(results[3]).toBe((0x40 << 3) | 2);
});

it('int3 goes on behind itself', () => {
  const all = trapped(
    3,
    () => 'int3; behind:; nop',
    (p) => `${frame(p, 3)}; lea rax, [behind]; ${p.keep('rax')}`,
  );
  expect(all[2]).toBe(all[3]);
});

it("a #GP of no privilege of its own is the guest's, with error code 0", () => {
  const all = trapped(
    GP,
    () => 'lgdt [rsp]',
    (p) => frame(p, 4),
  );
  expect(all[2]).toBe(0);
});

it('ud2 is the guest\'s; ud2 "xen" cpuid is Xen\'s CPUID', () => {
  const all = trapped(
    UD,
    (p) => `mov eax, 0x40000000; xor ecx, ecx; ${FORCED_CPUID}; ${p.keep('rbx')}; at:; ud2`,
    (p) => `${frame(p, 3)}; lea rax, [at]; ${p.keep('rax')}`,
  );
  expect(all[0]).toBe(0x566e6558); // "XenV"
  expect(all[3]).toBe(all[4]);
});

it('MSRs, CR0, CR3 and ports are emulated', () => {
  const { results, why } = runProgram((p) =>
    [
      'mov ecx, 0xc0000101; mov eax, 0x1000; mov edx, 0; wrmsr; rdmsr',
      p.keep('rax'),
      'mov ecx, 0x277; rdmsr',
      p.keep('rax'),
      'mov rax, cr0; or eax, 8; mov cr0, rax; mov rax, cr0; and eax, 8',
      p.keep('rax'),
      'clts; mov rax, cr0; and eax, 8',
      p.keep('rax'),
      'wbinvd',
      // IOPL 1 lets the kernel try ports, of which there are none.
      p.store(p.page(0), 1),
      p.call('physdev_op', 6, p.page(0)),
      'cli; sti',
      'xor eax, eax; mov edx, 0x71; in al, dx',
      p.keep('rax'),
      'out dx, al',
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results).toEqual([0x1000, 0x00070406, 8, 0, 0, 0xff]);
});

it('user mode runs on its own table and GS base, and comes back by SYSCALL on the stack of the kernel', () => {
  const { results, why } = runProgram((p) =>
    [
      trap(p, 0x80, 3, true),
      `lea rax, [entry]; mov rbx, ${p.page(1)}; mov qword ptr [rbx], 2; mov [rbx + 8], rax`,
      p.call(CALLBACK_OP, 0, p.page(1)),
      p.call('stack_switch', 0, p.page(3) + 0x800),
      p.call('set_segment_base', 1, 0x7777),
      // The same table for both: this program has its text in one half only.
      `mov rax, cr3; shr rax, 12; mov rbx, ${p.page(2)}; mov qword ptr [rbx], 15; mov [rbx + 8], rax`,
      p.call('mmuext_op', p.page(2), 1, 0, 0x7ff0),
      // iret to user mode: RAX R11 RCX flags RIP CS RFLAGS RSP SS.
      `push ${SS}; mov rax, ${p.page(4) + 0x800}; push rax; push 0x202; push ${USER_CS}; lea rax, [user]; push rax; push 0; push 0x33; push 0x44; push 0x55; mov eax, 23; syscall`,
      'user:; mov r12, rax; mov r13, rcx; syscall',
      'int 0x80',
      'entry:',
      p.keep('r12'),
      p.keep('r13'),
      frame(p, 7),
      'mov ecx, 0xc0000102; rdmsr',
      p.keep('rax'),
      p.done,
      'handler:',
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  expect(results.slice(0, 5)).toEqual([0, 0, 0, 0, 0]);
  const [rax, rcx, frameRcx, r11, rip, cs, rflags, rsp, ss, userGs] = results.slice(5) as number[];
  expect([rax, rcx]).toEqual([0x55, 0x33]);
  expect(frameRcx).toBe(rip);
  expect([r11! & IF, rflags! & IF, cs, ss]).toEqual([IF, IF, USER_CS, SS]);
  expect(rsp! & 0xfff).toBe(0x800);
  expect(userGs).toBe(0x7777);
});

it('a handler that is not there itself costs time until its stack ends', () => {
  const { stop, why, cpu } = runProgram((p) =>
    [
      p.store(p.page(0), PF),
      p.store(p.page(0) + 8, 0x5000),
      p.store(p.page(0) + 24, 0),
      p.call('set_trap_table', p.page(0)),
      `mov rsp, ${p.page(40)}`,
      'mov [0x6000], eax',
    ].join('\n'),
  );
  expect([stop, why]).toEqual(['ended', expect.stringContaining('cannot be written')]);
  // 64 bytes a frame, from page 40 down to the program's own first page.
  expect(cpu.retired()).toBeGreaterThan((40 * 4096) / 64);
});

it('without a handler the domain ends, and says so', () => {
  const { stop, why } = runProgram(() => 'ud2');
  expect([stop, why.replace(/rip .*/, '')]).toEqual([
    'ended',
    'Xen has ended the domain: it has no handler for what happened to it (',
  ]);
});

it('an iret to user mode without user tables ends the domain', () => {
  const { why } = runProgram(
    () =>
      `push ${SS}; push 0; push 0x202; push ${USER_CS}; push 0; push 0; push 0; push 0; push 0; mov eax, 23; syscall`,
  );
  expect(why).toContain('without user tables');
});

it.each([
  ['nmi_op', 0, 0],
  ['callback_op', 4, 8],
])(
  'an NMI comes to the handler that %s has named, and ends the domain when it is gone',
  (call, type, at) => {
    const { results, why } = runProgram((p) =>
      [
        p.store(p.page(0), type),
        `lea rax, [handler]; mov [rbx + ${at}], rax`,
        p.call(call, 0, p.page(0)),
        'mov edi, 11; xor esi, esi; xor edx, edx; mov eax, 24; syscall; nop',
        p.store(p.page(0), type),
        p.call(call, XENNMI_unregister_callback, p.page(0)),
        'mov edi, 11; xor esi, esi; xor edx, edx; mov eax, 24; syscall; nop',
        p.done,
        'handler:',
        'mov ebx, 0x77',
        p.keep('rbx'),
        'pop rcx; pop r11; push 0; push rcx; push r11; push rax; mov eax, 23; syscall',
      ].join('\n'),
    );
    expect(results).toEqual([0, 0x77, 0]);
    expect(why).toContain('no handler');
  },
);

it('a write to the hypercall MSR puts the page of calls into a frame of its own', () => {
  const { results, why } = runProgram((p) =>
    [
      `mov ecx, 0x40000000; mov rax, ${p.mfn(1)}; shl rax, 12; mov rdx, rax; shr rdx, 32; wrmsr`,
      `mov rbx, ${p.page(1)}; mov rax, [rbx + ${17 * 32}]; ${p.keep('rax')}`,
      `xor edi, edi; mov rbx, ${p.page(1)}; add rbx, ${17 * 32}; call rbx; ${p.keep('rax')}`,
      p.done,
    ].join('\n'),
  );
  expect(why).toContain('poweroff');
  // push rcx; push r11; mov eax, 17 ...
  expect(results).toEqual([0x0000_0011_b853_4151 + 0, 0x4_0011]);
});
