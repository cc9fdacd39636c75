// A kernel of a few lines for tests: Linux's selectors, paging with RAM at 0 and at PAGE_OFFSET, traps by name, calls by name.

import { Assembler } from '../../../cpu/asm.ts';
import { CR0_PG, CR4_PAE, CR4_PGE, CR4_PSE } from '../../../cpu/control-bits.ts';
import type { EngineName } from '../../../cpu/core.ts';
import type { Stop } from '../../../machine/machine.ts';
import type { GuestRam } from '../../../machine/memory.ts';
import { enterFlat32 } from '../../boot/registers.ts';
import { defineInterface, type Platform } from '../../define.ts';
import type { Seen } from '../../seen.ts';
import { TEST_RAM, testMachine } from '../../testing/platform.ts';
import { VMI_CALLS } from '../call.ts';
import { vmi } from '../index.ts';
import { INIT_AT, RELOC_AT, ROM_AT, stubAt } from '../rom/layout.ts';

export const PAGE_OFFSET = 0xc0000000;
const CODE_AT = 0x100000;
/** Where the guest puts what it has to say, and a page for its tables. */
export const REPORT_AT = 0x200000;
export const SPARE_AT = 0x300000;
export const DIRECTORY = 0x20000;
const POINTERS = 0x28000;
const STACK = 0x80000;
/** Present, writable, user, page size (SDM 3A 4.3). */
const LARGE = 0x87;
const INSTRUCTIONS = 2_000_000;

/** The address of a call's stub, as the kernel sees the ROM. */
export function vmiEntry(name: string): string {
  const call = VMI_CALLS.find((known) => known.name === name);
  const at = name === 'Init' ? INIT_AT : name === 'GetRelocationInfo' ? RELOC_AT : null;
  if (at === null && !call) throw new Error(`there is no VMI call ${name}`);
  return `0x${(PAGE_OFFSET + ROM_AT + (at ?? stubAt(call!.number))).toString(16)}`;
}

export interface KernelOptions {
  readonly pae?: boolean;
  readonly version?: string;
  readonly engine?: EngineName;
  /** Labels of the text, by vector. Other vectors end the run by a triple fault. */
  readonly traps?: Readonly<Record<number, string>>;
  /** Entry points that the ROM is to be without. */
  readonly lacks?: (name: string) => boolean;
  readonly seen?: Seen;
  readonly transmit?: (byte: number) => void;
  readonly instructions?: number;
}

export interface KernelRun {
  readonly platform: Platform;
  readonly ram: GuestRam;
  readonly stop: Stop;
  /** 32-bit words that the guest has reported. */
  word(n: number): number;
  gpr(n: number): number;
  /** Runs on. */
  more(): Stop;
}

/**
 * A machine about to run `text` in ring 0. `{Name}` is a VMI call's entry, `report` the report's address. Code
 * behind `user:` may be run in ring 3, by the selectors 0x73 and 0x7b.
 */
export function vmiKernel(text: string, options: KernelOptions = {}) {
  const { pae = false, traps = {}, engine = 'reference', seen, transmit } = options;
  const { lacks } = options;
  const on = lacks
    ? defineInterface({ ...vmi, attach: (p, v) => vmi.attach({ ...p, lacks }, v) })
    : vmi;
  const { platform, machine } = testMachine(on, options.version ?? '3.0', {
    engine,
    ...(seen && { seen }),
    ...(transmit && { transmit }),
  });
  const { cpu, ram } = platform;
  ram.write(CODE_AT, assembleKernel(text, traps));
  writeTables(ram, pae);
  enterFlat32(cpu, ram, PAGE_OFFSET + CODE_AT);
  const { state } = cpu;
  state.setVa('cr3', pae ? POINTERS : DIRECTORY);
  state.set('cr4', CR4_PSE | CR4_PGE | (pae ? CR4_PAE : 0));
  state.set('cr0', (state.get('cr0') | CR0_PG | 0x10000) >>> 0);
  state.setGpr32(4, PAGE_OFFSET + STACK);
  cpu.stateChanged();
  cpu.mmu.flushAll();
  return { platform, machine };
}

/** Runs the text of `vmiKernel` until it halts with interrupts off. */
export function runVmiKernel(text: string, options: KernelOptions = {}): KernelRun {
  const { platform, machine } = vmiKernel(text, options);
  const { ram, cpu } = platform;
  const { instructions = INSTRUCTIONS } = options;
  const stop = machine.run({ instructions });
  return {
    platform,
    ram,
    stop,
    word: (n) => ram.u32(REPORT_AT + 4 * n),
    gpr: (n) => cpu.state.gpr32(n),
    more: () => machine.run({ instructions }),
  };
}

function assembleKernel(text: string, traps: KernelOptions['traps']): Uint8Array {
  const a = new Assembler(32, PAGE_OFFSET + CODE_AT);
  const called = text
    .replaceAll(/\{(\w+)\}/g, (_, name: string) => vmiEntry(name))
    .replaceAll('report', `${PAGE_OFFSET + REPORT_AT}`);
  a.text(`
    lgdt [gdtr]
    jmpf 0x60:flat
  flat:
    mov eax, 0x68
    mov ds, ax
    mov es, ax
    mov ss, ax
    lidt [idtr]
    call fill
    mov eax, 0x80
    ltr ax
    ${called}
    cli
    hlt
  fill:
    mov eax, tss
    mov [gdt+0x82], ax
    shr eax, 16
    mov [gdt+0x84], al
    mov [gdt+0x87], ah
    ${Object.entries(traps ?? {})
      .map(
        ([vector, label]) => `
    mov eax, ${label}
    mov [idt+${8 * Number(vector)}], ax
    shr eax, 16
    mov [idt+${8 * Number(vector) + 6}], ax
    mov dword ptr [idt+${8 * Number(vector) + 2}], 0xee000060`,
      )
      .join('\n')}
    ret`);
  a.align(8).bind(a.label('gdt'));
  for (let n = 0; n < 32; n++) a.dq(DESCRIPTORS[n] ?? 0n);
  a.bind(a.label('idt')).bytes(new Uint8Array(8 * 256));
  a.bind(a.label('gdtr')).dw(0xff).dd(a.label('gdt'));
  a.bind(a.label('idtr')).dw(0x7ff).dd(a.label('idt'));
  a.align(4)
    .bind(a.label('tss'))
    .dd(0, PAGE_OFFSET + STACK + 0x8000, 0x68);
  a.bytes(new Uint8Array(0x68 - 12));
  return a.finish();
}

/** asm/segment.h (2.6.32): kernel code and data, user code and data, the TSS of 0x68 bytes. */
const DESCRIPTORS: Readonly<Record<number, bigint>> = {
  12: 0x00cf9b000000ffffn,
  13: 0x00cf93000000ffffn,
  14: 0x00cffb000000ffffn,
  15: 0x00cff3000000ffffn,
  16: 0x0000890000000067n,
};

/** All of RAM at 0 and again at PAGE_OFFSET, by large pages. */
function writeTables(ram: GuestRam, pae: boolean): void {
  const size = pae ? 2 << 20 : 4 << 20;
  for (let n = 0; n * size < TEST_RAM; n++) {
    if (pae) ram.setU64(DIRECTORY + 8 * n, n * size + LARGE, 0);
    else {
      ram.setU32(DIRECTORY + 4 * n, n * size + LARGE);
      ram.setU32(DIRECTORY + 4 * (n + PAGE_OFFSET / size), n * size + LARGE);
    }
  }
  for (const gib of [0, 3]) if (pae) ram.setU64(POINTERS + 8 * gib, DIRECTORY + 1, 0);
}
