// Traps, descriptors and privileged instructions: what the kernel of a PV guest finds when it does what it may not.

import * as f from '../forms.ts';
import * as at from '../layout.ts';
import { hex, type Parts, programs, type Value } from '../program.ts';

const EMULATE = 'xen/arch/x86/pv/emul-priv-op.c';
const BOUNCE = 'xen/arch/x86/x86_64/entry.S create_bounce_frame';
const SEGMENTS = 'xen/arch/x86/pv/descriptor-tables.c';
const { CALL, XEN, UNMAPPED } = f;
const CPUID = 'bytes 0f 0b 78 65 6e 0f a2';

/** Privileged and other instructions, with what they leave in RAX where it is the same everywhere. */
const INSTRUCTIONS: readonly (readonly [code: string, rax?: 'rax'])[] = [
  ['cli'],
  ['sti'],
  ['hlt'],
  ['clts'],
  ['wbinvd'],
  ['invd'],
  ['invlpg [rsp]'],
  ['lgdt [rsp]'],
  ['lidt [rsp]'],
  ['mov eax, 0x28; lldt ax'],
  ['mov eax, 0x28; ltr ax'],
  ['xor eax, eax; lmsw ax'],
  ['swapgs'],
  ['sysret'],
  ['mov rax, cr0; and eax, 0x8001003f', 'rax'],
  ['mov rax, cr4; and eax, 0x20', 'rax'],
  ['mov rax, cr0; mov cr0, rax'],
  ['mov rax, cr0; xor eax, 0x10000; mov cr0, rax'],
  ['mov rax, cr0; or eax, 8; mov cr0, rax; clts; mov rax, cr0; and eax, 8', 'rax'],
  ['mov rax, cr4; mov cr4, rax'],
  ['mov rax, cr4; xor eax, 0x80; mov cr4, rax'],
  ['mov rax, cr4; or eax, 0x40000000; mov cr4, rax'],
  ['mov rax, cr3; mov cr3, rax'],
  ['xor eax, eax; mov cr3, rax'],
  ['mov rax, cr8', 'rax'],
  ['mov rax, dr0', 'rax'],
  ['mov rax, dr7', 'rax'],
  ['mov rax, dr6; and eax, 0xf', 'rax'],
  ['xor eax, eax; mov dr0, rax'],
  ['mov eax, 0x400; mov dr7, rax'],
  ['mov rax, 0xffff800000000000; mov dr0, rax'],
  ['in al, 0x70'],
  ['in al, 0x60'],
  ['out 0x80, al'],
  ['mov edx, 0xcf8; in eax, dx'],
  ['mov edx, 0x3f8; mov rdi, rsp; insb'],
  ['mov edx, 0x3f8; mov rsi, rsp; outsb'],
  ['pushfq; pop rax; and eax, 0x3200', 'rax'],
  ['pushfq; or dword ptr [rsp], 0x3000; popfq; pushfq; pop rax; and eax, 0x3200', 'rax'],
  ['rdtsc; xor eax, eax', 'rax'],
  ['xor ecx, ecx; rdpmc'],
  ['int3'],
  ['bytes cc'],
  ['int 0x20'],
  ['int 0x80'],
  ['int 3'],
  ['int 14'],
  ['ud2'],
  ['bytes 0f 0b 78 65 6f 0f a2'],
  [`mov eax, 0x40000000; xor ecx, ecx; ${CPUID}; mov rax, rbx`, 'rax'],
  [`mov eax, 0x40000001; xor ecx, ecx; ${CPUID}`, 'rax'],
  [`mov eax, 0x40000002; xor ecx, ecx; ${CPUID}; mov rax, rbx`, 'rax'],
  [`mov eax, 1; xor ecx, ecx; ${CPUID}; mov eax, edx; and eax, 0x8102b8a`, 'rax'],
  ['xor ecx, ecx; xgetbv'],
  ['xor ecx, ecx; mov eax, 1; xor edx, edx; xsetbv'],
  ['bytes 0f 01 c8'],
  ['bytes 0f 01 c9'],
  ['vmcall'],
  ['bytes 0f 01 d9'], // VMMCALL
  ['sysenter'],
  ['iretq'],
  ['bytes 0f aa'],
  ['mov eax, 0x10; mov ds, ax'],
  ['mov eax, 0xe02b; mov ds, ax; mov eax, ds', 'rax'],
  ['mov eax, 0xe008; mov ds, ax'],
  ['mov eax, 0xe030; mov ds, ax'],
  ['mov eax, 0xffff; mov fs, ax'],
  ['xor eax, eax; mov ss, ax'],
  ['mov eax, 0xe028; mov ss, ax'],
  ['sgdt [rsp - 64]; xor eax, eax', 'rax'],
  ['smsw rax; and eax, 0x3f', 'rax'],
  ['str eax', 'rax'],
  ['sldt eax', 'rax'],
  ['mov eax, 0xe033; lar eax, ax', 'rax'],
  ['mov eax, 0xe02b; lsl eax, ax', 'rax'],
  ['mov eax, 0x5000; mov rax, [rax]'],
  ['mov eax, 0x5000; mov [rax], rax'],
  ['mov eax, 0x5000; call rax'],
  ['mov rax, 0xffff808000000000; mov rax, [rax]'],
  ['mov rax, 0xffff808000000000; mov [rax], rax'],
  ['mov rax, 0xffff830000000000; mov rax, [rax]'],
  ['mov rax, 0xffff870000000000; call rax'],
  ['mov rax, 0x8000000000000000; mov rax, [rax]'],
  ['mov rax, 0x8000000000000000; jmp rax'],
  ['mov rsp, 0x8000000000000000; push rax'],
  ['xor ecx, ecx; mov eax, 1; xor edx, edx; div ecx'],
  ['bytes ce'],
  ['bytes 62 04 24'],
  ['fld1; fldcw [rsp]; fstp st0'],
  ['ltr word ptr [rsp]'],
];

const MSRS: readonly (readonly [name: string, msr: number, value?: bigint])[] = [
  ['PAT', 0x277, 0x0007_0406_0007_0406n],
  ['FS base', 0xc000_0100, 0x1234n],
  ['GS base', 0xc000_0101, 0x1234n],
  ['user GS base', 0xc000_0102, 0x1234n],
  ['a GS base that is no address', 0xc000_0101, 1n << 62n],
  ['STAR', 0xc000_0081, 0n],
  ['LSTAR', 0xc000_0082, 0n],
  ['CSTAR', 0xc000_0083, 0n],
  ['SFMASK', 0xc000_0084, 0n],
  ['SYSENTER_CS', 0x174, 0n],
  ['SYSENTER_ESP', 0x175, 0n],
  ['SYSENTER_EIP', 0x176, 0n],
  ['MTRRcap', 0xfe],
  ['MTRRdefType', 0x2ff, 0n],
  ['DEBUGCTL', 0x1d9, 0n],
  ['the debug store', 0x600, 0n],
  ['a microcode update', 0x79, 0n],
  ['none', 0x1234_5678, 0n],
  ['Xen’s hypercall page', 0x4000_0000, 0n],
];
const msrRow = (name: string, msr: number, value?: bigint) =>
  value === undefined
    ? [f.row(`RDMSR ${name}`, EMULATE, (p: Parts) => p.attempt(`mov ecx, ${msr}; rdmsr`))]
    : [
        f.row(`RDMSR ${name}`, EMULATE, (p: Parts) => p.attempt(`mov ecx, ${msr}; rdmsr`)),
        f.row(`WRMSR ${name}`, EMULATE, (p: Parts) =>
          p.attempt(
            `mov ecx, ${msr}; mov eax, ${value & 0xffff_ffffn}; mov edx, ${value >> 32n}; wrmsr`,
          ),
        ),
      ];

/** One descriptor of a page of its own, as update_descriptor leaves it. */
const descriptor = (p: Parts, value: bigint) =>
  f.lines(p.call(CALL.update_descriptor, p.machine(1, 8), value), p.keepWord(p.page(1) + 8));
const DESCRIPTORS: readonly (readonly [name: string, value: bigint])[] = [
  ['nothing', 0n],
  ['not present', 0x0000_1234_5678_9abcn & ~(1n << 47n)],
  ['64-bit code of ring 0', 0x00af_9b00_0000_ffffn],
  ['64-bit code of ring 3', 0x00af_fb00_0000_ffffn],
  ['32-bit code of ring 3', 0x00cf_fb00_0000_ffffn],
  ['64-bit and 32-bit code', 0x00ef_fb00_0000_ffffn],
  ['data of ring 0', 0x00cf_9300_0000_ffffn],
  ['data of ring 3 with a base', 0x12cf_f334_5678_ffffn],
  ['data that nobody has accessed', 0x00cf_f200_0000_ffffn],
  ['conforming code of ring 0', 0x00af_9f00_0000_ffffn],
  ['an LDT', 0x0000_8200_0000_0fffn],
  ['a TSS', 0x0000_8900_0000_0067n],
  ['a call gate', 0x0000_ec00_e033_0000n],
  ['a call gate into Xen', 0x0000_ec00_e008_0000n],
  ['an interrupt gate', 0x0000_ee00_e033_0000n],
  ['a task gate', 0x0000_e500_e033_0000n],
];

const gdt = (p: Parts, entries: Value) =>
  f.lines(p.store(p.page(2), p.mfn(1)), p.call(CALL.set_gdt, p.page(2), entries));

export const cpu = [
  ...programs(
    'instruction',
    INSTRUCTIONS.map(([code, rax]) =>
      f.row(code.replace(/\n/g, '; '), EMULATE, (p) =>
        f.lines(p.attempt(rax ? `${code}; mov r12, rax` : code), ...(rax ? [p.keep('r12')] : [])),
      ),
    ),
  ),
  ...programs(
    'msr',
    MSRS.flatMap(([name, msr, value]) => msrRow(name, msr, value)),
  ),
  ...programs('iopl', [
    f.row('1: the kernel may use ports', EMULATE, (p) =>
      f.lines(
        f.op(p, 'physdev_op', 6, 1),
        p.attempt('mov edx, 0x71; in al, dx; movzx r12d, al'),
        p.keep('r12'),
        f.op(p, 'physdev_op', 6, 0),
      ),
    ),
    f.row('1: what its flags say', EMULATE, (p) =>
      f.lines(
        f.op(p, 'physdev_op', 6, 1),
        'pushfq; pop rax; and eax, 0x3000',
        p.keep('rax'),
        f.op(p, 'physdev_op', 6, 0),
      ),
    ),
    f.row('1: cli and sti', EMULATE, (p) =>
      f.lines(f.op(p, 'physdev_op', 6, 1), p.attempt('cli; sti'), f.op(p, 'physdev_op', 6, 0)),
    ),
  ]),
  ...programs('frame', [
    ...(
      [
        ['ud2', 'ud2'],
        ['a store to nowhere', 'mov [0x5008], eax'],
        ['a #GP', 'mov rax, 0x8000000000000000; mov rax, [rax]'],
      ] as const
    ).map(([name, code]) =>
      f.row(`of ${name}: CS, RFLAGS, SS, and how far RSP and RIP are`, BOUNCE, (p) =>
        f.lines(
          `lea r8, [${p.label('at')}]; mov r9, rsp`,
          p.attempt(`${p.label('at')}:\n${code}`),
          `mov rbx, ${hex(at.CATCH)}`,
          'mov rax, [rbx + 40]',
          p.keep('rax'),
          'mov rax, [rbx + 48]; and eax, 0xfffc07f2; and eax, 0x3f200',
          p.keep('rax'),
          'mov rax, [rbx + 64]',
          p.keep('rax'),
          'mov rax, [rbx + 56]; sub rax, r9',
          p.keep('rax'),
          'mov rax, [rbx + 32]; sub rax, r8',
          p.keep('rax'),
        ),
      ),
    ),
    f.row('of a page fault: the address in vcpu_info', BOUNCE, (p) =>
      f.lines(p.attempt('mov [0x5008], eax'), p.keepWord(at.SHARED_INFO + 16)),
    ),
    f.row('with events not masked: the mask in CS, IF in RFLAGS', BOUNCE, (p) =>
      f.lines(
        `mov rbx, ${hex(at.SHARED_INFO)}; mov byte ptr [rbx + 1], 0`,
        p.attempt('ud2'),
        `mov rbx, ${hex(at.CATCH)}; mov rax, [rbx + 40]`,
        p.keep('rax'),
        'mov rax, [rbx + 48]; and eax, 0x200',
        p.keep('rax'),
        `mov rbx, ${hex(at.SHARED_INFO)}; movzx eax, byte ptr [rbx + 1]`,
        p.keep('rax'),
      ),
    ),
    f.row('of a handler that masks events', BOUNCE, (p) =>
      f.lines(
        `lea rax, [stub6]; mov rbx, ${p.page(0)}; mov dword ptr [rbx], 0x406; mov [rbx + 8], rax; mov qword ptr [rbx + 16], 0; mov qword ptr [rbx + 24], 0`,
        p.call(CALL.set_trap_table, p.page(0)),
        `mov rbx, ${hex(at.SHARED_INFO)}; mov byte ptr [rbx + 1], 0`,
        p.attempt('ud2'),
        `mov rbx, ${hex(at.SHARED_INFO)}; movzx eax, byte ptr [rbx + 1]`,
        p.keep('rax'),
      ),
    ),
    f.row('no handler at all', BOUNCE, (p) => f.lines(p.call(CALL.set_trap_table, 0), 'ud2')),
    f.row('a handler, and no stack', BOUNCE, () => 'mov rsp, 0x5000; ud2'),
    f.row('a handler, and a stack in Xen', BOUNCE, () => `mov rsp, 0xffff830000001000; ud2`),
  ]),
  ...programs('descriptor', [
    ...DESCRIPTORS.map(([name, value]) => f.row(name, SEGMENTS, (p) => descriptor(p, value))),
    f.row('at an address that is not a multiple of 8', SEGMENTS, (p) =>
      p.call(CALL.update_descriptor, p.machine(1, 4), 0),
    ),
    f.row('in no frame', SEGMENTS, (p) => p.call(CALL.update_descriptor, f.NO_FRAME * 4096, 0)),
    f.row('in a pinned table', SEGMENTS, (p) =>
      f.lines(f.pinned(p, 1, 1), p.call(CALL.update_descriptor, p.machine(1), 0)),
    ),
    f.row('a GDT of a page that is mapped writable', SEGMENTS, (p) => gdt(p, 512)),
    f.row('a GDT of a page that can only be read', SEGMENTS, (p) =>
      f.lines(
        f.remap(p, 1, f.P),
        gdt(p, 512),
        f.remap(p, 1, f.P | f.RW),
        p.call(CALL.set_gdt, p.page(2), 0),
        f.remap(p, 1, f.P | f.RW),
      ),
    ),
    f.row('a GDT with a TSS in it', SEGMENTS, (p) =>
      f.lines(p.store(p.page(1) + 8, 0x0000_8900_0000_0067n), f.remap(p, 1, f.P), gdt(p, 512)),
    ),
    f.row('a GDT with code of ring 0 in it', SEGMENTS, (p) =>
      f.lines(
        p.store(p.page(1) + 8, 0x00af_9b00_0000_ffffn),
        f.remap(p, 1, f.P),
        gdt(p, 512),
        p.keepWord(p.page(1) + 8),
        p.attempt('mov eax, 8; lar r12d, ax'),
        p.keep('r12'),
        p.call(CALL.set_gdt, p.page(2), 0),
      ),
    ),
    f.row('a GDT of 14 pages and one entry', SEGMENTS, (p) => gdt(p, 14 * 512 + 1)),
    f.row('a GDT of no entries', SEGMENTS, (p) => gdt(p, 0)),
    f.row('a GDT of a list that is not mapped', SEGMENTS, (p) => p.call(CALL.set_gdt, UNMAPPED, 1)),
    f.row('a GDT of a list in Xen', SEGMENTS, (p) => p.call(CALL.set_gdt, XEN, 1)),
    f.row('a GDT of no frame', SEGMENTS, (p) =>
      f.lines(p.store(p.page(2), f.NO_FRAME), p.call(CALL.set_gdt, p.page(2), 1)),
    ),
    f.row('a GDT, and an update of it', SEGMENTS, (p) =>
      f.lines(
        f.remap(p, 1, f.P),
        gdt(p, 512),
        descriptor(p, 0x00cf_f300_0000_ffffn),
        p.attempt('mov eax, 11; mov ds, ax; mov r12d, ds'),
        p.keep('r12'),
        'mov eax, 0xe02b; mov ds, ax',
        p.call(CALL.set_gdt, p.page(2), 0),
      ),
    ),
    f.row('an LDT, and a selector of it', SEGMENTS, (p) =>
      f.lines(
        p.store(p.page(1) + 8, 0x00cf_f300_0000_ffffn),
        f.remap(p, 1, f.P),
        f.ext(p, 13, p.page(1), 2),
        p.attempt('mov eax, 15; mov es, ax; mov r12d, es'),
        p.keep('r12'),
        'xor eax, eax; mov es, ax',
        f.remap(p, 1, f.P | f.RW),
        f.ext(p, 13, 0, 0),
        f.remap(p, 1, f.P | f.RW),
      ),
    ),
    f.row('an LDT that is mapped writable, and a selector of it', SEGMENTS, (p) =>
      f.lines(
        p.store(p.page(1) + 8, 0x00cf_f300_0000_ffffn),
        f.ext(p, 13, p.page(1), 2),
        p.attempt('mov eax, 15; mov es, ax'),
        f.ext(p, 13, 0, 0),
      ),
    ),
    f.row('an LDT that is not mapped, and a selector of it', SEGMENTS, (p) =>
      f.lines(f.ext(p, 13, UNMAPPED, 2), p.attempt('mov eax, 15; mov es, ax'), f.ext(p, 13, 0, 0)),
    ),
  ]),
];
