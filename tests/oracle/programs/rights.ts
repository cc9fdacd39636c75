// System calls, ports by IOPL and permission bitmap, and flags by IOPL.

import { dpl } from '../descriptors.ts';
import * as at from '../layout.ts';
import {
  ax,
  BOTH,
  CLEAR,
  DONE,
  inRing3,
  type Program,
  popf,
  programs,
  pushf,
  user32,
  user64,
  wrmsr,
} from '../program.ts';

const SCE = 1;

/** Segments in the order that SYSCALL and SYSRET want: 64-bit code and data of ring 0; 32-bit code, data, 64-bit code of ring 3. */
const SYS = 0x140;
const syscallSegments: NonNullable<Program['setup']> = (m) => {
  m.gdt(SYS, { attr: 0xa09b });
  m.gdt(SYS + 8, { attr: 0xc093 });
  m.gdt(SYS + 16, { attr: 0xc09b | dpl(3) });
  m.gdt(SYS + 24, { attr: 0xc093 | dpl(3) });
  m.gdt(SYS + 32, { attr: 0xa09b | dpl(3) });
};
const star = wrmsr(0xc0000081, 0, ((SYS + 16) << 16) | SYS);
const system = (code: string, mask = 0) =>
  `${star}; mov ecx, 0xc0000082; mov eax, s; xor edx, edx; wrmsr; mov ecx, 0xc0000083; mov eax, k; wrmsr; ${wrmsr(0xc0000084, mask)}; ${CLEAR}; push 2; popfq; ${code}`;
const TAIL = `\ns:\nmov ebx, 0x64; ${DONE}\nk:\nmov ebx, 0x32; ${DONE}`;
const REF_SYS = 'SDM 2B SYSCALL';
const calls: Program[] = [
  { name: 'syscall without SCE', ref: REF_SYS, mode: 'long', code: inRing3('long', 'syscall') },
  { name: 'sysret without SCE', ref: 'SDM 2B SYSRET', mode: 'long', code: 'o64 sysret' },
  {
    name: 'syscall from ring 3',
    ref: REF_SYS,
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(`${user64('u', 0x202)}\nu:\nsyscall${TAIL}`),
  },
  {
    name: 'syscall masks flags',
    ref: REF_SYS,
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(`${user64('u', 0x40202)}\nu:\nsyscall${TAIL}`, 0x40200),
  },
  {
    name: 'syscall from ring 0',
    ref: REF_SYS,
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(`syscall${TAIL}`),
  },
  {
    name: 'sysretq',
    ref: 'SDM 2B SYSRET',
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(`mov ecx, u; mov r11d, 0x202; o64 sysret\nu:\n${DONE}${TAIL}`),
  },
  {
    name: 'sysretq of all flags',
    ref: 'SDM 2B SYSRET',
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(`mov ecx, u; mov r11, 0xffbefeff; o64 sysret\nu:\n${DONE}${TAIL}`),
  },
  {
    name: 'sysretl',
    ref: 'SDM 2B SYSRET',
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(`mov ecx, u; mov r11d, 0x202; o32 sysret\nu:\n${DONE}${TAIL}`),
  },
  {
    name: 'sysret in ring 3',
    ref: 'SDM 2B SYSRET',
    mode: 'long',
    efer: SCE,
    code: inRing3('long', 'o64 sysret'),
  },
  {
    name: 'sysretq to an address not canonical',
    ref: 'APM 3 SYSRET',
    mode: 'long',
    efer: SCE,
    setup: syscallSegments,
    code: system(
      `mov rcx, 0x8000000000000000; mov r11d, 2; mov esp, ${at.STACK3}; o64 sysret${TAIL}`,
    ),
  },
  {
    name: 'sysenter without SYSENTER_CS',
    ref: 'SDM 2B SYSENTER',
    mode: 'prot',
    code: inRing3('prot', 'sysenter'),
  },
  {
    name: 'sysenter',
    ref: 'SDM 2B SYSENTER',
    mode: 'prot',
    setup: syscallSegments,
    code: `${wrmsr(0x174, at.CODE32)}; ${wrmsr(0x175, at.STACK0)}; mov ecx, 0x176; mov eax, s; wrmsr; ${CLEAR}; ${user32('u', 0x202)}\nu:\nsysenter\ns:\nmov ebx, 1; ${DONE}`,
  },
  { name: 'sysexit without SYSENTER_CS', ref: 'SDM 2B SYSEXIT', mode: 'prot', code: 'sysexit' },
  {
    name: 'sysexit',
    ref: 'SDM 2B SYSEXIT',
    mode: 'prot',
    code: `${wrmsr(0x174, at.CODE32)}; mov edx, s; mov ecx, ${at.STACK3}; sysexit\ns:\nmov ebx, 1; ${DONE}`,
  },
  {
    name: 'sysexit in ring 3',
    ref: 'SDM 2B SYSEXIT',
    mode: 'prot',
    code: inRing3('prot', 'sysexit'),
  },
  { name: 'sysenter in real mode', ref: 'SDM 2B SYSENTER', mode: 'real', code: 'sysenter' },
];

const IOMAP = at.TSS + 0x68;
const opened =
  (...ports: readonly number[]): NonNullable<Program['setup']> =>
  (m) => {
    const bytes = new Map<number, number>();
    for (const port of ports)
      bytes.set(port >> 3, (bytes.get(port >> 3) ?? 0xff) & ~(1 << (port & 7)));
    for (const [byte, value] of bytes) m.u8(IOMAP + byte, value);
  };
const REF_IO = 'SDM 1 19.5.2';
const ports: Program[] = BOTH.flatMap((mode): Program[] => [
  {
    name: `out with IOPL 3, ${mode}`,
    ref: 'SDM 1 19.5.1',
    mode,
    code: inRing3(mode, 'out 0x80, al', 0x3002),
  },
  {
    name: `out with IOPL 2, ${mode}`,
    ref: 'SDM 1 19.5.1',
    mode,
    code: inRing3(mode, 'out 0x80, al', 0x2002),
  },
  {
    name: `out to an open port, ${mode}`,
    ref: REF_IO,
    mode,
    setup: opened(0x80),
    code: inRing3(mode, 'out 0x80, al'),
  },
  {
    name: `out beside an open port, ${mode}`,
    ref: REF_IO,
    mode,
    setup: opened(0x80),
    code: inRing3(mode, 'out 0x81, al'),
  },
  {
    name: `word out, one byte closed, ${mode}`,
    ref: REF_IO,
    mode,
    setup: opened(0x80),
    code: inRing3(mode, 'out 0x80, ax'),
  },
  {
    name: `word out across bytes of the map, ${mode}`,
    ref: REF_IO,
    mode,
    setup: opened(0x87, 0x88),
    code: inRing3(mode, 'out 0x87, ax'),
  },
  {
    name: `word out across, second closed, ${mode}`,
    ref: REF_IO,
    mode,
    setup: opened(0x87),
    code: inRing3(mode, 'out 0x87, ax'),
  },
  {
    name: `port beyond the map, ${mode}`,
    ref: REF_IO,
    mode,
    code: inRing3(mode, 'mov dx, 0x1000; out dx, al'),
  },
  {
    name: `last port of the map, ${mode}`,
    ref: REF_IO,
    mode,
    setup: opened(0x3ff),
    code: inRing3(mode, 'mov dx, 0x3ff; out dx, al'),
  },
  {
    name: `no map at all, ${mode}`,
    ref: REF_IO,
    mode,
    setup: (m) => m.u16(at.TSS + 0x66, at.TSS_BYTES),
    code: inRing3(mode, 'out 0x80, al'),
  },
]);

const REF_FLAGS = 'SDM 2B POPF';
const flags: Program[] = BOTH.flatMap((mode): Program[] => {
  const all = `push 0x247ed7; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}; push 2; ${popf(mode)}`;
  return [
    {
      name: `popf in ring 0, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: all.replace('0x247ed7', '0x247cd7'),
    },
    {
      name: `popf in ring 3 keeps IOPL and IF, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: inRing3(mode, all.replace('0x247ed7', '0x247cd7')),
    },
    {
      name: `popf in ring 3 with IOPL 3 changes IF, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: inRing3(mode, `push 0x202; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`, 0x3002),
    },
    {
      name: `popf in ring 3 keeps IF, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: inRing3(mode, `push 2; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`, 0x202),
    },
    {
      name: `popf of RF and VM, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: `push 0x30002; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`,
    },
    {
      name: `popf of 16 bits keeps the upper half, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: `push 0x240002; ${popf(mode)}; db 0x66, 0x6a, 2, 0x66, 0x9d; ${pushf(mode)}; pop ${ax(mode)}`,
    },
    {
      name: `popf of bits that there are not, ${mode}`,
      ref: REF_FLAGS,
      mode,
      code: `push -0x27ffd8; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}; push 2; ${popf(mode)}`.replace(
        '-0x27ffd8',
        '-0x3fffd8',
      ),
    },
    {
      name: `cli in ring 3 with IOPL 3, ${mode}`,
      ref: 'SDM 2A CLI',
      mode,
      code: inRing3(mode, `cli; ${pushf(mode)}; pop ${ax(mode)}`, 0x3202),
    },
    {
      name: `sti in ring 3 with IOPL 3, ${mode}`,
      ref: 'SDM 2B STI',
      mode,
      code: inRing3(mode, `sti; ${pushf(mode)}; pop ${ax(mode)}`, 0x3002),
    },
    {
      name: `sti in ring 3 with IOPL 1, ${mode}`,
      ref: 'SDM 2B STI',
      mode,
      code: inRing3(mode, 'sti', 0x1002),
    },
    {
      name: `the ID flag, ${mode}`,
      ref: 'SDM 1 3.4.3.3',
      mode,
      code: inRing3(mode, `push 0x200002; ${popf(mode)}; ${pushf(mode)}; pop ${ax(mode)}`),
    },
  ];
});

export const callPrograms = programs('system calls', calls);
export const portPrograms = programs('ports', ports);
export const flagPrograms = programs('flags', flags);
