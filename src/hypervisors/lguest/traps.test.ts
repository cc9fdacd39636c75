// Exceptions, INT n and privileged instructions: what the guest's own gates get, and with which frame and flags.

import { expect, test } from 'vitest';
import { guest, runLguest } from './testing/lguest-guest.ts';

const { init, store, keepAt, keep, call, gate, off, page, field, print } = guest;
const UD = 6;
const GP = 13;
const KERNEL_CS = 0x61;
const USER_STACK = page(4);
/** Descriptors of ring 3 as Linux loads them, and a kernel stack for entries from there. */
const userWorld = `
  ${call('LOAD_GDT_ENTRY', 14, 0xffff, 0x00cffa00)}; ${call('LOAD_GDT_ENTRY', 15, 0xffff, 0x00cff200)}
  ${call('SET_STACK', 0x69, 0xc0000000 + page(2), 1)}`;
const enterUser = (label: string, flags = 0x202) => `
  push 0x7b; push ${USER_STACK}; push ${flags}; push 0x73; lea eax, [${label}]; push eax; iretd`;
/** Keeps what a handler finds on its stack, `n` words of it. */
const keepFrame = (n: number) =>
  Array.from({ length: n }, () => 'pop eax; mov [ebp], eax; add ebp, 4').join('; ');

test("an exception enters by its gate with EIP, CS and flags, whose IF is the guest's own", () => {
  const { results, why } = runLguest(`
    ${init}; ${gate(UD, 'handler')}; ${store(field('irq_enabled'), 0x200)}
    here: bytes 0f 0b
    handler: ${keepFrame(3)}; ${keepAt(field('irq_enabled'))}; lea eax, [here]; mov [ebp], eax; add ebp, 4; ${off}`);
  expect(why).toContain('Power down');
  const [eip, cs, flags, enabled, here] = results;
  expect(eip).toBe(here);
  expect(cs).toBe(KERNEL_CS);
  expect(flags! & 0x200).toBe(0x200);
  // An interrupt gate switches them off.
  expect(enabled).toBe(0);
});

test('a trap gate leaves interrupts as they are, and flags without IF say that they are off', () => {
  const { results } = runLguest(`
    ${init}; ${gate(UD, 'handler', 0xf)}; ${store(field('irq_enabled'), 0x2)}; bytes 0f 0b
    handler: ${keepFrame(3)}; ${keepAt(field('irq_enabled'))}; ${off}`);
  expect(results[2]! & 0x200).toBe(0);
  expect(results[3]).toBe(2);
});

test('a vector without a gate ends the guest', () => {
  expect(runLguest(`${init}; bytes 0f 0b`).why).toMatch(/unhandled trap 6 at 0x1000[0-9a-f]+/);
  expect(runLguest('mov eax, [0xa0000000]').why).toContain('unhandled trap 14');
});

test('an exception in ring 3 begins on the stack that SET_STACK has named, with SS and ESP in its frame', () => {
  const { results, why } = runLguest(`
    ${init}; ${userWorld}; ${gate(UD, 'handler')}; ${enterUser('user')}
    user: bytes 0f 0b
    handler: mov ebx, esp; ${keepFrame(5)}; ${keep('ebx')}; mov eax, cs; ${keep('eax')}; mov eax, ss; ${keep('eax')}; ${off}`);
  expect(why).toContain('Power down');
  expect(results.slice(1, 2)).toEqual([0x73]);
  expect(results.slice(3)).toEqual([USER_STACK, 0x7b, 0xc0000000 + page(2) - 20, KERNEL_CS, 0x69]);
});

test.each([
  [0x80, 0xf, 3],
  [3, 0xe, 3],
])(
  'INT %i in ring 3 goes through a gate of DPL 3 and comes back behind itself',
  (vector, type, dpl) => {
    const { results, why } = runLguest(`
    ${init}; ${userWorld}; ${gate(vector, 'handler', type, dpl)}; ${enterUser('user')}
    user: int ${vector}
    after: ud2
    handler: ${keepFrame(2)}; lea eax, [after]; mov [ebp], eax; add ebp, 4; ${off}`);
    expect(why).toContain('Power down');
    expect(results[0]).toBe(results[2]);
    expect(results[1]).toBe(0x73);
  },
);

test.each([
  ['a gate of DPL 0', 0x40, 3],
  ['the vector of the hypercall', 0x1f, 3],
  ['a vector of interrupts', 0x20, 3],
  ['a page fault', 14, 3],
])('INT n in ring 3 of %s is #GP with the vector in its error code', (_, vector, dpl) => {
  const { results } = runLguest(`
    ${init}; ${userWorld}; ${gate(GP, 'handler')}; ${gate(vector, 'wrong', 0xe, vector === 0x40 ? 0 : dpl)}
    ${enterUser('user')}
    user: int ${vector}
    wrong: ${keep('0xbad')}
    handler: ${keepFrame(1)}; ${off}`);
  expect(results[0]).toBe((vector << 3) | 2);
});

test('VMCALL and INT 0x1f are the same call in ring 1, and keep every register', () => {
  const { results, output } = runLguest(`
    ${init}; lea ebx, [text]; mov eax, 17; mov ecx, 0x11; mov edx, 0x22; mov esi, 0x33; mov edi, 0x44
    vmcall; int 0x1f
    cmp eax, 17; jne wrong; cmp ecx, 0x11; jne wrong; cmp edx, 0x22; jne wrong; cmp esi, 0x33; jne wrong
    cmp edi, 0x44; jne wrong; ${keep('1')}; ${off}
    wrong: ${keep('0xbad')}; ${off}
    text: "twice "`);
  expect(results).toEqual([1]);
  expect(output).toBe('twice twice ');
});

test('VMCALL in ring 3 is no call', () => {
  const { results } = runLguest(`
    ${init}; ${userWorld}; ${gate(UD, 'handler')}; ${enterUser('user')}
    user: mov eax, 17; vmcall
    handler: ${keep('1')}; ${off}`);
  expect(results).toEqual([1]);
});

test('ports read as all ones in the width of the access, and swallow what is written', () => {
  const { results } = runLguest(`
    ${init}; mov dx, 0x70; xor eax, eax; in al, dx; ${keep('eax')}; xor eax, eax; in ax, dx; ${keep('eax')}
    xor eax, eax; in eax, dx; ${keep('eax')}; xor eax, eax; in al, 0x71; ${keep('eax')}
    mov eax, 5; out 0x80, al; out dx, ax; out dx, eax; ${keep('eax')}; ${off}`);
  expect(results).toEqual([0xff, 0xffff, 0xffffffff, 0xff, 5]);
});

test.each([
  'cli',
  'sti',
  'hlt',
  'mov eax, cr0',
  'mov cr3, eax',
  'mov eax, cr4',
  'rdmsr',
  'wrmsr',
  'clts',
  'invlpg [eax]',
  'lidt [eax]',
  'wbinvd',
  'insb',
  'mov eax, dr7',
])('%s is #GP of the guest', (instruction) => {
  const { results } = runLguest(`
    ${init}; mov dx, 0x70; xor ecx, ecx; ${gate(GP, 'handler')}; here: ${instruction}; ${keep('0xbad')}
    handler: ${keepFrame(2)}; lea eax, [here]; mov [ebp], eax; add ebp, 4; ${off}`);
  expect(results[0]).toBe(0);
  expect(results[1]).toBe(results[2]);
});

test("POPF and IRET leave the processor's own IF alone", () => {
  const { results, why } = runLguest(`
    ${init}; push 2; popfd; pushfd; pop eax; and eax, 0x200; ${keep('eax')}; ${off}`);
  expect(why).toContain('Power down');
  expect(results).toEqual([0x200]);
});

test('ports in ring 3 are #GP', () => {
  const { results } = runLguest(`
    ${init}; ${userWorld}; ${gate(GP, 'handler')}; ${enterUser('user')}
    user: in al, dx
    handler: ${keepFrame(3)}; ${off}`);
  expect(results.slice(0, 1)).toEqual([0]);
  expect(results[2]).toBe(0x73);
});

test('after TS the next floating-point instruction traps, and not after it was taken back', () => {
  const { results } = runLguest(`
    ${init}; ${gate(7, 'handler')}; fldz; ${call('TS', 8)}; fldz; ${keep('0xbad')}
    handler: ${call('TS', 0)}; fldz; ${keep('7')}; ${off}`);
  expect(results).toEqual([7]);
});

test('SSE works from the first instruction on: the guest cannot ask for it', () => {
  const { why } = runLguest(`${init}; xorps xmm0, xmm0; movaps xmm1, xmm0; ${off}`);
  expect(why).toContain('Power down');
});

test('a single step enters its handler without TF, so that the handler runs', () => {
  const { results, why } = runLguest(`
    ${init}; ${gate(1, 'handler')}; pushfd; or dword ptr [esp], 0x100; popfd; nop; ${keep('0xbad')}
    handler: ${keepFrame(3)}; ${off}`);
  expect(why).toContain('Power down');
  expect(results[2]! & 0x100).toBe(0x100);
});

test('INT n under TF enters its handler once, and steps behind it when that returns', () => {
  const { results, why } = runLguest(`
    ${init}; ${gate(1, 'step')}; ${gate(3, 'handler', 0xe, 1)}; pushfd; or dword ptr [esp], 0x100; popfd; int 3; nop
    ${keep('0xbad')}; handler: ${keep('3')}; iretd
    step: ${keep('1')}; ${off}`);
  expect(why).toContain('Power down');
  expect(results).toEqual([3, 1]);
});

test('a handler that is not mapped takes the run to its end, and not the host', () => {
  const { stop, why } = runLguest(
    `${init}; ${gate(14, 'handler')}; ${call('LOAD_IDT_ENTRY', 14, 0x600000, 0xa0008e00)}; mov eax, [0xa0000000]; handler: nop`,
    {
      budget: 50_000,
    },
  );
  expect(stop === 'slice' || why.includes('bad address')).toBe(true);
});

test('CPUID names a processor whose family has no MSRs to touch, and no hypervisor', () => {
  const { results } = runLguest(`
    ${init}; xor eax, eax; cpuid; mov [ebp], ebx; add ebp, 4; mov eax, 1; xor ecx, ecx; cpuid
    mov [ebp], ecx; mov [ebp+4], edx; add ebp, 8; ${print('done')}; ${off}; done: "x"`);
  const [vendor, ecx, edx] = results;
  expect(vendor).toBe(0x756e6547); // "Genu"
  expect(ecx! >>> 31).toBe(0);
  // FPU, TSC, CX8, CMOV, FXSR, SSE2; and neither PSE, MSR, APIC, SEP nor PGE.
  for (const bit of [0, 4, 8, 15, 24, 26]) expect((edx! >>> bit) & 1).toBe(1);
  for (const bit of [3, 5, 9, 11, 13]) expect((edx! >>> bit) & 1).toBe(0);
});
