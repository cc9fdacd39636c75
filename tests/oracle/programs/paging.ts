// Paging: each mode and page size, each kind of entry, read, written and fetched in ring 0 and in ring 3; WP, SMEP, SMAP, reserved bits.

import * as at from '../layout.ts';
import type { Memory } from '../memory.ts';
import { DONE, type Program, programs, resume, stub64, user32, user64 } from '../program.ts';
import { type Mode, P, U, W } from '../template.ts';

const A = 0x20;
const D = 0x40;
const PS = 0x80;
const NX = 1n << 63n;
const WP = 0x10000;
const PSE = 0x10;
const SMEP = 0x100000;
const SMAP = 0x200000;
const PGE = 0x80;
const NXE = 0x800;
const ALL = BigInt(P | W | U);

/** A way to map the test window: `leaf` writes the entry that decides, `window` is an address in the page. */
interface Size {
  readonly name: string;
  readonly mode: Mode;
  readonly cr4: number;
  readonly window: number;
  /** Where the leaf entry is. */
  readonly entry: number;
  /** What the leaf points to, with the page-size bit. */
  readonly frame: number;
  readonly nx: boolean;
  /** A reserved bit of the leaf. */
  readonly reserved: bigint;
}
const PAGE = at.DATA + 0x1000;
const SIZES: readonly Size[] = [
  {
    name: '4 KiB, 32-bit',
    mode: 'paged',
    cr4: 0,
    window: at.WINDOW32,
    entry: at.WINDOW_PT32,
    frame: PAGE,
    nx: false,
    reserved: 0n,
  },
  {
    name: '4 MiB, 32-bit',
    mode: 'paged',
    cr4: PSE,
    window: at.WINDOW32 + PAGE,
    entry: at.PD32 + 4,
    frame: PS,
    nx: false,
    reserved: 1n << 21n,
  },
  {
    name: '4 KiB, PAE',
    mode: 'pae',
    cr4: 0,
    window: at.WINDOW,
    entry: at.WINDOW_PT,
    frame: PAGE,
    nx: true,
    reserved: 1n << 51n,
  },
  {
    name: '2 MiB, PAE',
    mode: 'pae',
    cr4: 0,
    window: at.WINDOW + PAGE,
    entry: at.PAE_PD + 8,
    frame: PS,
    nx: true,
    reserved: 1n << 13n,
  },
  {
    name: '4 KiB, long',
    mode: 'long',
    cr4: 0,
    window: at.WINDOW,
    entry: at.WINDOW_PT,
    frame: PAGE,
    nx: true,
    reserved: 1n << 51n,
  },
  {
    name: '2 MiB, long',
    mode: 'long',
    cr4: 0,
    window: at.WINDOW + PAGE,
    entry: at.PD + 8,
    frame: PS,
    nx: true,
    reserved: 1n << 13n,
  },
  {
    name: '1 GiB, long',
    mode: 'long',
    cr4: 0,
    window: 0x40000000 + PAGE,
    entry: at.PDPT + 8,
    frame: PS,
    nx: true,
    reserved: 1n << 13n,
  },
];
/** Entries by their rights. */
const KINDS: Readonly<Record<string, { rights: bigint; nx?: true; reserved?: true }>> = {
  absent: { rights: BigInt(W | U) },
  'supervisor, read-only': { rights: BigInt(P) },
  'supervisor, writable': { rights: BigInt(P | W) },
  'user, read-only': { rights: BigInt(P | U) },
  'user, writable': { rights: ALL },
  'user, not executable': { rights: ALL | NX, nx: true },
  'supervisor, not executable': { rights: BigInt(P | W) | NX, nx: true },
  'a reserved bit': { rights: ALL, reserved: true },
};

function put(m: Memory, size: Pick<Size, 'mode'>, entry: number, value: bigint): void {
  if (size.mode === 'paged') m.u32(entry, Number(value & 0xffffffffn));
  else m.u64(entry, value);
}

/** Reads, writes and fetches, each ending in an event (a fault, or `int TRAP`), then shows the entry and what was written. */
function accesses(size: Size, ring: 0 | 3): string {
  const { window, mode } = size;
  const bits = mode === 'long' ? 64 : 32;
  const steps = [
    `mov al, [${window}]`,
    `mov byte ptr [${window + 8}], 0x55`,
    `mov ecx, ${window}; call ${bits === 64 ? 'rcx' : 'ecx'}`,
  ];
  const lines = steps.map((step, n) => {
    const enter = ring === 0 ? '' : bits === 64 ? user64(`u${n}`) : user32(`u${n}`);
    return `${resume(`r${n}`, bits)}\n${enter}\nu${n}:\n${step}; int ${at.TRAP}\nr${n}:`;
  });
  const show = `mov eax, [${size.entry}]; mov edx, [${size.entry + 4}]; mov ebx, [${PAGE + 8}]; ${DONE}`;
  return `${lines.join('\n')}\n${show}`;
}

const REF = 'SDM 3A 4.6';
const matrix: Program[] = SIZES.flatMap((size) =>
  Object.entries(KINDS)
    .filter(([, kind]) => (!kind.nx || size.nx) && (!kind.reserved || size.reserved !== 0n))
    .flatMap(([what, kind]) =>
      ([0, 3] as const).map(
        (ring): Program => ({
          name: `${size.name}, ${what}, ring ${ring}`,
          ref: REF,
          mode: size.mode,
          cr4: size.cr4,
          efer: size.nx ? NXE : 0,
          code: accesses(size, ring),
          setup: (m) => {
            put(
              m,
              size,
              size.entry,
              BigInt(size.frame) | kind.rights | (kind.reserved ? size.reserved : 0n),
            );
            m.u8(PAGE, 0xc3);
          },
        }),
      ),
    ),
);

const K4: readonly Size[] = SIZES.filter(({ name }) => name.startsWith('4 KiB'));

/** One change on top of a page that allows everything. */
function variant(
  size: Size,
  name: string,
  ref: string,
  ring: 0 | 3,
  more: Partial<Program>,
  leaf: bigint,
  upper?: (m: Memory) => void,
): Program {
  return {
    name: `${name}, ${size.name}, ring ${ring}`,
    ref,
    mode: size.mode,
    cr4: size.cr4,
    code: accesses(size, ring),
    ...more,
    setup: (m) => {
      put(m, size, size.entry, BigInt(size.frame) | leaf);
      m.u8(PAGE, 0xc3);
      upper?.(m);
    },
  };
}
/** Ring 0 runs on supervisor pages: SMEP looks at the program's own. */
const supervisorCode = (size: Size) => (m: Memory) => {
  const [table, bytes] = size.mode === 'paged' ? [at.PT32, 4] : [at.PT, 8];
  put(m, size, table + (at.CODE >> 12) * bytes, BigInt(at.CODE | P | W));
};
const UPPER: Readonly<Record<string, readonly [number, number]>> = {
  paged: [at.PD32 + 4, at.WINDOW_PT32],
  pae: [at.PAE_PD + 8, at.WINDOW_PT],
  long: [at.PD + 8, at.WINDOW_PT],
};
const upper = (size: Size, rights: bigint) => (m: Memory) => {
  const [entry = 0, table = 0] = UPPER[size.mode] ?? [];
  put(m, size, entry, BigInt(table) | rights);
};

const variants: Program[] = K4.flatMap((size): Program[] => [
  variant(size, 'WP clear, read-only', REF, 0, { cr0: WP }, BigInt(P)),
  variant(size, 'WP clear, read-only user page', REF, 0, { cr0: WP }, BigInt(P | U)),
  variant(size, 'WP clear does not help ring 3', REF, 3, { cr0: WP }, BigInt(P | U)),
  variant(size, 'SMEP, user page', REF, 0, { cr4: SMEP }, ALL, supervisorCode(size)),
  variant(
    size,
    'SMEP, supervisor page',
    REF,
    0,
    { cr4: SMEP },
    BigInt(P | W),
    supervisorCode(size),
  ),
  variant(size, 'SMAP, user page', REF, 0, { cr4: SMAP }, ALL),
  variant(size, 'SMAP, supervisor page', REF, 0, { cr4: SMAP }, BigInt(P | W)),
  variant(size, 'SMAP does not bind ring 3', REF, 3, { cr4: SMAP }, ALL),
  variant(size, 'directory read-only', REF, 3, {}, ALL, upper(size, BigInt(P | U))),
  variant(size, 'directory supervisor', REF, 3, {}, ALL, upper(size, BigInt(P | W))),
  variant(size, 'directory absent', REF, 0, {}, ALL, upper(size, BigInt(W | U))),
  variant(size, 'directory absent', REF, 3, {}, ALL, upper(size, BigInt(W | U))),
  variant(size, 'directory read-only', REF, 0, {}, ALL, upper(size, BigInt(P | U))),
  variant(size, 'dirty and accessed already', 'SDM 3A 4.8', 0, {}, ALL | BigInt(A | D)),
  variant(size, 'global', 'SDM 3A 4.10.2.4', 0, { cr4: PGE }, ALL | 0x100n),
  ...(size.nx
    ? [
        variant(size, 'XD without NXE', REF, 0, {}, ALL | NX),
        variant(size, 'XD without NXE', REF, 3, {}, ALL | NX),
        variant(
          size,
          'directory not executable',
          REF,
          0,
          { efer: NXE },
          ALL,
          upper(size, ALL | NX),
        ),
        variant(
          size,
          'directory with a reserved bit',
          REF,
          0,
          {},
          ALL,
          upper(size, ALL | (1n << 51n)),
        ),
      ]
    : []),
]);

const show64 = (entry: number) => `mov eax, [${entry}]`;
const REF_AD = 'SDM 3A 4.8';
const special: Program[] = [
  {
    name: 'SMAP with AC set',
    ref: REF,
    mode: 'long',
    cr4: SMAP,
    code: `stac; mov ecx, [${at.CODE}]; xor ecx, ecx; clac; mov ecx, [${at.CODE}]`,
  },
  {
    name: 'SMAP holds for implicit accesses in spite of AC',
    ref: REF,
    mode: 'long',
    cr4: SMAP,
    setup: (m) => m.u64(at.PT + 0x30, at.LDT | P | W | U),
    code: `stac; mov ax, 4; mov ds, ax`,
  },
  {
    name: 'stac in ring 3',
    ref: 'SDM 2B STAC',
    mode: 'long',
    cr4: SMAP,
    code: `${user64('u')}\nu:\nstac`,
  },
  {
    name: 'dword across into an absent page',
    ref: 'SDM 3A 4.7',
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P | W),
    code: `mov ecx, [${at.WINDOW + 0xffe}]`,
  },
  {
    name: 'store across into an absent page leaves the first',
    ref: 'SDM 3A 4.7',
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P | W),
    code: `${resume('r', 64)}; mov dword ptr [${at.WINDOW + 0xffe}], -1\nr:\nmov eax, [${PAGE + 0xffc}]; mov edx, [${at.WINDOW_PT}]`,
  },
  {
    name: 'store across into a read-only page',
    ref: 'SDM 3A 4.7',
    mode: 'paged',
    setup: (m) => m.u32(at.WINDOW_PT32, PAGE | P | W, (PAGE + 0x1000) | P),
    code: `${resume('r')}; mov dword ptr [${at.WINDOW32 + 0xffe}], -1\nr:\nmov eax, [${PAGE + 0xffc}]; mov edx, [${at.WINDOW_PT32}]; mov ecx, [${at.WINDOW_PT32 + 4}]`,
  },
  {
    name: 'instruction across into an absent page',
    ref: 'SDM 3A 4.7',
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P | W).u8(PAGE + 0xffe, 0xb8, 1),
    code: `mov ecx, ${at.WINDOW + 0xffe}; jmp rcx`,
  },
  {
    name: 'read-modify-write of a read-only page is a write',
    ref: 'SDM 3A 4.7',
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P),
    code: `inc dword ptr [${at.WINDOW}]`,
  },
  {
    name: 'cmpxchg that fails is a write too',
    ref: 'SDM 2A CMPXCHG',
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P),
    code: `mov eax, 5; lock cmpxchg dword ptr [${at.WINDOW}], ecx`,
  },
  {
    name: 'cmpxchg that fails sets the dirty bit',
    ref: REF_AD,
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P | W),
    code: `mov eax, 5; lock cmpxchg dword ptr [${at.WINDOW}], ecx; ${show64(at.WINDOW_PT)}; push 2; popfq`,
  },
  {
    name: 'accessed bits of all levels',
    ref: REF_AD,
    mode: 'long',
    setup: (m) => m.u64(at.PDPT + 16, at.PD | P | W).u64(at.WINDOW_PT, PAGE | P | W),
    code: `mov eax, 0x80000000; mov ecx, [rax+${at.WINDOW}]; mov eax, [${at.PDPT + 16}]; mov ecx, [${at.PD + 8}]; mov edx, [${at.WINDOW_PT}]`,
  },
  {
    name: 'no accessed bit of the leaf after a denied access',
    ref: REF_AD,
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P),
    code: `${resume('r', 64)}; mov dword ptr [${at.WINDOW}], 1\nr:\nmov eax, [${at.WINDOW_PT}]`,
  },
  {
    name: 'a read sets no dirty bit, a write behind it does',
    ref: REF_AD,
    mode: 'long',
    setup: (m) => m.u64(at.WINDOW_PT, PAGE | P | W),
    code: `mov ecx, [${at.WINDOW}]; mov eax, [${at.WINDOW_PT}]; mov dword ptr [${at.WINDOW}], 1; mov edx, [${at.WINDOW_PT}]`,
  },
  {
    name: 'implicit supervisor access from ring 3: GDT',
    ref: 'SDM 3A 4.6.1',
    mode: 'paged',
    code: `mov word ptr [${at.DATA}], ${at.GDT_BYTES - 1}; mov dword ptr [${at.DATA + 2}], ${at.WINDOW32}; ${user32('u')}\nu:\nmov ax, ${at.UDATA32}; mov ds, ax`.replace(
      `${user32('u')}`,
      `push ${at.UDATA32}; push ${at.STACK3}; push 2; push ${at.UCODE32}; push u; mov ecx, [${at.DATA}]; iretd`,
    ),
    setup: (m) => m.u32(at.PT32 + 4, at.GDT | P | W),
  },
  {
    name: 'implicit supervisor access from ring 3: absent LDT page',
    ref: 'SDM 3A 4.6.1',
    mode: 'paged',
    setup: (m) => m.gdt(at.LDT_SEL, { base: at.WINDOW32, limit: 0xff, attr: 0x82 }),
    code: `${user32('u')}\nu:\nmov ax, 7; mov ds, ax`,
  },
  {
    name: 'implicit supervisor access from ring 3: absent TSS page',
    ref: 'SDM 3A 4.6.1',
    mode: 'paged',
    setup: (m) =>
      m
        .gdt(at.TSS_SEL, { base: at.WINDOW32 - 0x68, limit: 0xff, attr: 0x89 })
        .u32(at.PT32 + 0xffc, at.TSS | P | W)
        .u32(at.TSS + 0xf98 + 4, at.STACK0, at.DATA32)
        .u16(at.TSS + 0xffe, 0x68),
    code: `${user32('u')}\nu:\nin al, 0x80`,
  },
  {
    name: 'page-size bit in the PML4',
    ref: 'SDM 3A 4.5',
    mode: 'long',
    setup: (m) => m.u64(at.PML4 + 8, at.PDPT | P | W | PS),
    code: 'mov rax, 0x8000000000; mov ecx, [rax]',
  },
  {
    name: 'absent PML4 entry',
    ref: 'SDM 3A 4.5',
    mode: 'long',
    code: 'mov rax, -0x1000; mov ecx, [rax]',
  },
  {
    name: 'PS without PSE is ignored',
    ref: 'SDM 3A 4.3',
    mode: 'paged',
    setup: (m) =>
      m
        .u32(at.PD32 + 4, at.WINDOW_PT32 | P | W | PS)
        .u32(at.WINDOW_PT32, PAGE | P | W)
        .u32(PAGE, 0x1234),
    code: `mov eax, [${at.WINDOW32}]`,
  },
  {
    name: 'PAE: absent directory pointer',
    ref: 'SDM 3A 4.4',
    mode: 'pae',
    code: 'mov eax, [0x40000000]',
  },
  {
    name: 'PSE-36: the address above 4 GiB',
    ref: 'SDM 3A 4.3',
    mode: 'paged',
    cr4: PSE,
    setup: (m) => m.u32(at.PD32 + 4, P | W | PS | (1 << 12)).u32(PAGE, 0x1234),
    code: `mov eax, [${at.WINDOW32 + PAGE}]`,
  },
  {
    name: 'cr2 keeps the last fault',
    ref: 'SDM 3A 4.7',
    mode: 'paged',
    code: `${resume('r')}; mov eax, [0x12345678]\nr:\nmov eax, cr2; mov ecx, 0x777; mov cr2, ecx; mov ecx, cr2`,
  },
  {
    name: 'fault in a user stack push',
    ref: 'SDM 3A 4.7',
    mode: 'paged',
    code: `${user32('u')}\nu:\nmov esp, ${at.WINDOW32 + 0x100}; push eax`,
  },
  {
    name: 'enter into an absent page',
    ref: 'SDM 2A ENTER',
    mode: 'paged',
    code: `${user32('u')}\nu:\nmov esp, ${at.WINDOW32 + 0x1004}; enter 0x10, 0`,
    setup: (m) => m.u32(at.WINDOW_PT32 + 4, PAGE | P | W | U),
  },
  {
    name: 'gate in an absent page of the IDT',
    ref: 'SDM 3A 6.15 #PF',
    mode: 'long',
    code: `mov word ptr [${at.DATA}], 0x3ff; mov dword ptr [${at.DATA + 2}], ${at.WINDOW - 0x300}; lidt [${at.DATA}]; int ${at.TRAP}`,
    setup: (m) =>
      m
        .u64(at.PT + 0xff8, at.IDT64 | P | W)
        .idt64(0xd0 + 14, { selector: at.CODE64, target: stub64(14), attr: 0x8e }),
  },
];

export const paging = programs('paging', matrix);
export const pagingControls = programs('paging controls', variants);
export const pagingSpecial = programs('paging cases', special);
