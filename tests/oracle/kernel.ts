// The kernel of the probe image: boot sector, start, restoring, entry into each mode, event handlers, report.

import { Assembler, type Label } from '../../src/cpu/asm.ts';
import * as at from './layout.ts';

export interface KernelCode {
  readonly bytes: Uint8Array;
  /** Where a program is entered. */
  readonly enter: number;
  /** Where it comes back from there, in 32-bit code: all that is left of it is its events. */
  readonly home: number;
  readonly stubs16: readonly number[];
  readonly stubs32: readonly number[];
  readonly stubs64: readonly number[];
}

/** Offsets in a program's header; its patches follow: address, length, bytes; address -1 ends them. */
export const HEADER = {
  next: 0,
  index: 4,
  kind: 8,
  cr0: 12,
  cr3: 16,
  cr4: 20,
  efer: 24,
  entry: 28,
};
export const HEADER_BYTES = 32;
export const KINDS = { prot: 0, real: 1, long: 2 } as const;

/** Slots of an event, 8 bytes each. */
export const SLOTS = {
  vector: 0,
  cr2: 1,
  dr6: 2,
  rsp: 3,
  ax: 4,
  cx: 5,
  dx: 6,
  bx: 7,
  bp: 9,
  si: 10,
  di: 11,
  r8: 12,
  cs: 20,
  ss: 21,
  ds: 22,
  es: 23,
  fs: 24,
  gs: 25,
  flags: 26,
  /** 12 words of the stack as the handler found it. */
  frame: 28,
} as const;
const FRAME_WORDS = 12;
/** What is in the event's first slot above the vector: the handler's code size. */
const EVENT_OF = { 16: 0x10000, 32: 0x20000, 64: 0x40000 } as const;

/** MSRs that programs may have written. */
const MSRS = [0x174, 0x175, 0x176, 0xc0000081, 0xc0000082, 0xc0000083, 0xc0000084, 0xc0000102];
const COM1 = 0x3f8;

let assembled: KernelCode | null = null;

export function kernel(): KernelCode {
  assembled ??= assembleKernel();
  return assembled;
}

function assembleKernel(): KernelCode {
  const a = new Assembler(16, at.KERNEL);
  start16(a);
  home(a);
  report(a);
  prepare(a);
  enterProgram(a);
  const stubs16 = stubs(a, 16);
  handler16(a);
  const stubs32 = stubs(a, 32);
  handler32(a);
  const stubs64 = stubs(a, 64);
  handler64(a);
  tables(a);
  const bytes = a.finish();
  if (bytes.length > at.KERNEL_BYTES) throw new Error('the probe kernel is too long');
  const place = (name: string) => Number(a.label(name).address);
  return { bytes, enter: place('enter'), home: place('home'), stubs16, stubs32, stubs64 };
}

/** Loads the kernel and the programs with INT 13h, function 42h, and starts them. */
export function bootSector(programSectors: number): Uint8Array {
  const a = new Assembler(16, at.BOOT);
  a.text(`cli; cld; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, ${at.BOOT}; sti
    mov si, packet; call read
    mov bx, ${programSectors}
    mov word ptr [count], 64
    mov word ptr [offset], 0
    mov word ptr [segment], ${at.PROGRAMS >> 4}
    mov word ptr [sector], ${1 + at.KERNEL_BYTES / 512}
    more:
    call read
    add word ptr [segment], 0x800
    add word ptr [sector], 64
    sub bx, 64
    ja more
    cli
    jmpf 0:${at.KERNEL}
    read:
    mov ah, 0x42
    push bx; push si; push dx
    int 0x13
    pop dx; pop si; pop bx
    jc read
    ret
    packet:`);
  a.dw(16)
    .bind(a.label('count'))
    .dw(at.KERNEL_BYTES / 512);
  a.bind(a.label('offset')).dw(at.KERNEL);
  a.bind(a.label('segment')).dw(0);
  a.bind(a.label('sector')).dw(1, 0, 0, 0);
  const code = a.finish();
  const sector = new Uint8Array(512);
  sector.set(code);
  sector.set([0x55, 0xaa], 510);
  return sector;
}

/** Serial line at 115200, interrupts masked, A20 open, then home for the first time. */
function start16(a: Assembler): void {
  const out = (port: number, value: number) => `mov dx, ${port}; mov al, ${value}; out dx, al`;
  a.text(`cli; cld; xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov sp, ${at.KERNEL}
    ${[
      out(COM1 + 3, 0x80),
      out(COM1, 1),
      out(COM1 + 1, 0),
      out(COM1 + 3, 3),
      out(COM1 + 4, 3),
      out(0x21, 0xff),
      out(0xa1, 0xff),
    ].join('\n')}
    in al, 0x92; or al, 2; and al, 0xfe; out 0x92, al
    mov dword ptr [${at.CURRENT}], 0
    mov dword ptr [${at.EVENT_POINTER}], 0
    home16:
    cli
    lgdt [homegdtr]
    mov eax, cr0; or eax, 1; mov cr0, eax
    o32 jmpf ${at.CODE32}:home`);
}

/** 32-bit, flat, no paging, everything that a program can have changed as it was. */
function home(a: Assembler): void {
  a.use(32).text(`home:
    cli; cld
    mov ax, ${at.DATA32}; mov ds, ax; mov es, ax; mov ss, ax; mov fs, ax; mov gs, ax
    mov esp, ${at.VARIABLES - 0x40}
    push 2; popfd
    mov eax, cr4; and eax, 0xfffdffff; mov cr4, eax
    mov eax, 0x31; mov cr0, eax
    xor eax, eax; mov cr4, eax; mov cr3, eax; mov cr2, eax
    xor edx, edx; mov ecx, 0xc0000080; wrmsr
    ${MSRS.map((msr) => `mov ecx, ${msr}; wrmsr`).join('\n')}
    mov dr0, eax; mov dr1, eax; mov dr2, eax; mov dr3, eax
    mov eax, 0x400; mov dr7, eax
    mov eax, 0xffff0ff0; mov dr6, eax
    lidt [nullidtr]
    xor eax, eax; lldt ax
    fninit
    cmp dword ptr [${at.EVENT_POINTER}], 0
    je next
    call report
    mov ebx, [${at.CURRENT}]
    add ebx, [ebx+${HEADER.next}]
    mov [${at.CURRENT}], ebx
    next:
    mov ebx, [${at.CURRENT}]
    test ebx, ebx
    jne chained
    mov ebx, ${at.PROGRAMS + 4}
    add ebx, [${at.PROGRAMS}]
    mov [${at.CURRENT}], ebx
    chained:
    cmp dword ptr [ebx+${HEADER.next}], 0
    je finished
    cmp dword ptr [${at.SINGLE}], 0
    jne prepared
    call prepare
    prepared:
    mov al, 0x40; call putc
    mov eax, [ebx+${HEADER.index}]; call hex; call newline; call drain
    xor eax, eax
    cmp dword ptr [${at.SINGLE}], 0
    jne cleared
    mov edi, ${at.EVENTS}; mov ecx, ${(at.EVENT_BYTES * at.MAX_EVENTS) / 4}; rep stosd
    cleared:
    mov [${at.RETURNS}], eax; mov [${at.RESUME}], eax; mov [${at.RESUME + 4}], eax
    mov dword ptr [${at.EVENT_POINTER}], ${at.EVENTS}
    jmp enter
    finished:
    mov al, 0x23; call putc; call newline; call drain
    mov al, 0x21; out ${at.EXIT_PORT}, al
    mov dx, ${at.BOCHS_SHUTDOWN_PORT}
    ${[...'Shutdown'].map((c) => `mov al, ${c.charCodeAt(0)}; out dx, al`).join('\n')}
    forever:
    hlt
    jmp forever`);
}

/** Each event as the slots that are not zero: `:0=2000d,3=c7f0,`. */
function report(a: Assembler): void {
  a.text(`report:
    mov esi, ${at.EVENTS}
    eachevent:
    cmp esi, [${at.EVENT_POINTER}]
    jae reported
    mov al, 0x3a; call putc
    xor edi, edi
    eachslot:
    mov eax, [esi+edi*8]; or eax, [esi+edi*8+4]
    je nextslot
    mov eax, edi; call hex
    mov al, 0x3d; call putc
    mov eax, [esi+edi*8+4]
    test eax, eax
    je lowhalf
    call hex
    mov al, 0x5f; call putc
    lowhalf:
    mov eax, [esi+edi*8]; call hex
    mov al, 0x2c; call putc
    nextslot:
    inc edi
    cmp edi, ${at.EVENT_BYTES / 8}
    jb eachslot
    call newline
    add esi, ${at.EVENT_BYTES}
    jmp eachevent
    reported:
    ret
    drain:
    mov dx, ${COM1 + 5}
    in al, dx
    test al, 0x40
    je drain
    ret
    newline:
    mov al, 10
    putc:
    push eax; push edx; push eax
    mov dx, ${COM1 + 5}
    busy:
    in al, dx
    test al, 0x20
    je busy
    pop eax
    mov dx, ${COM1}; out dx, al
    pop edx; pop eax
    ret
    hex:
    push eax; push ecx; push edx
    mov edx, eax; mov ecx, 28
    skipzeros:
    mov eax, edx; shr eax, cl; jne digits
    sub ecx, 4; jg skipzeros
    digits:
    mov eax, edx; shr eax, cl; and eax, 15
    cmp al, 10; jb decimal
    add al, 39
    decimal:
    add al, 48; call putc
    sub ecx, 4; jns digits
    pop edx; pop ecx; pop eax
    ret`);
}

/** Clears, then applies the template's patches and the program's. */
function prepare(a: Assembler): void {
  a.text('prepare:\npush ebx');
  for (const [from, to] of at.CLEARED)
    a.text(`mov edi, ${from}; mov ecx, ${(to - from) / 4}; xor eax, eax; rep stosd`);
  a.text(`mov esi, ${at.PROGRAMS + 4}
    call patch
    mov esi, ebx; add esi, ${HEADER_BYTES}
    call patch
    pop ebx
    ret
    patch:
    mov edi, [esi]; mov ecx, [esi+4]
    cmp edi, -1
    je patched
    add esi, 8
    rep movsb
    jmp patch
    patched:
    ret`);
}

function enterProgram(a: Assembler): void {
  const clear32 =
    'xor eax, eax; xor ebx, ebx; xor ecx, ecx; xor edx, edx; xor esi, esi; xor edi, edi; xor ebp, ebp';
  a.text(`enter:
    mov ebx, [${at.CURRENT}]
    cmp dword ptr [ebx+${HEADER.kind}], ${KINDS.real}
    je enterreal
    lgdt [gdtr]
    mov eax, [ebx+${HEADER.cr4}]; mov cr4, eax
    mov eax, [ebx+${HEADER.cr3}]; mov cr3, eax
    mov ecx, 0xc0000080; mov eax, [ebx+${HEADER.efer}]; xor edx, edx; wrmsr
    mov eax, [ebx+${HEADER.cr0}]; mov cr0, eax
    jmp paged
    paged:
    cmp dword ptr [ebx+${HEADER.kind}], ${KINDS.long}
    je enterlong
    lidt [idtr32]
    mov ax, ${at.TSS_SEL}; ltr ax
    mov ax, ${at.LDT_SEL}; lldt ax
    mov ax, ${at.DATA32}; mov ds, ax; mov es, ax; mov ss, ax
    xor eax, eax; mov fs, ax; mov gs, ax
    mov esp, ${at.STACK0}
    push dword ptr [ebx+${HEADER.entry}]
    ${clear32}
    push 2; popfd
    ret
    enterlong:
    jmpf ${at.CODE64}:enter64
    enterreal:
    lidt [ivtr]
    mov edx, [ebx+${HEADER.entry}]; mov eax, [ebx+${HEADER.cr0}]
    jmpf 0x18:enter16`);
  a.use(64).text(`enter64:
    lidt [abs_idtr64]
    mov ax, ${at.TSS_SEL}; ltr ax
    mov ax, ${at.LDT_SEL}; lldt ax
    mov ax, ${at.DATA32}; mov ds, ax; mov es, ax; mov ss, ax
    xor eax, eax; mov fs, ax; mov gs, ax
    mov esp, ${at.STACK0}
    mov eax, [rbx+${HEADER.entry}]; push rax
    ${clear32}
    ${[8, 9, 10, 11, 12, 13, 14, 15].map((n) => `xor r${n}d, r${n}d`).join('; ')}
    push 2; popfq
    ret`);
  a.use(16).text(`enter16:
    mov bx, 0x20; mov ds, bx; mov es, bx; mov ss, bx; mov fs, bx; mov gs, bx
    mov cr0, eax
    jmpf 0:inreal
    inreal:
    xor ax, ax; mov ds, ax; mov es, ax; mov ss, ax; mov fs, ax; mov gs, ax
    mov esp, ${at.STACK0}
    push ${at.CODE >> 4}; push dx
    ${clear32}
    push 2; popf
    retf`);
}

function stubs(a: Assembler, size: 16 | 32 | 64): number[] {
  a.use(size);
  const found: number[] = [];
  for (let vector = 0; vector < at.VECTORS; vector++) {
    found.push(Number(a.here));
    a.text(`push ${vector}\njmp common${size}`);
  }
  return found;
}

const slot = (name: keyof typeof SLOTS, more = 0): number => (SLOTS[name] + more) * 8;

/** Real mode: the frame is of 16-bit words, the registers are saved whole. */
function handler16(a: Assembler): void {
  const general = ['di', 'si', 'bp', 'rsp', 'bx', 'dx', 'cx', 'ax'] as const;
  a.use(16).text(`common16:
    pushad
    pushfd
    push ds; push es; push fs; push gs
    xor ax, ax; mov ds, ax
    mov ebx, [${at.EVENT_POINTER}]
    ${['gs', 'fs', 'es', 'ds'].map((s) => `pop word ptr [bx+${slot(s as 'gs')}]`).join('; ')}
    pop dword ptr [bx+${slot('flags')}]
    ${general.map((r) => `pop dword ptr [bx+${slot(r)}]`).join('; ')}
    pop word ptr [bx]
    mov word ptr [bx+2], ${EVENT_OF[16] >> 16}
    mov ax, cs; mov [bx+${slot('cs')}], ax
    mov ax, ss; mov [bx+${slot('ss')}], ax
    ${times(FRAME_WORDS, (n) => `pop word ptr [bx+${slot('frame', n)}]`)}
    mov eax, dr6; mov [bx+${slot('dr6')}], eax
    add word ptr [${at.EVENT_POINTER}], ${at.EVENT_BYTES}
    cmp word ptr [${at.EVENT_POINTER}], ${at.EVENTS + at.EVENT_BYTES * at.MAX_EVENTS}
    jae home16
    dec word ptr [${at.RETURNS}]
    js last16
    movzx esp, word ptr [bx+${slot('rsp')}]
    add sp, 2
    push word ptr [bx+${slot('ds')}]
    ${general
      .toReversed()
      .map((r) => `push dword ptr [bx+${slot(r)}]`)
      .join('; ')}
    mov es, [bx+${slot('es')}]
    popad
    pop ds
    iret
    last16:
    mov word ptr [${at.RETURNS}], 0
    xor ax, ax
    xchg [${at.RESUME}], ax
    test ax, ax
    je home16
    xor dx, dx; mov es, dx; mov ss, dx; mov esp, ${at.STACK0}
    push ${at.CODE >> 4}; push ax
    retf`);
}

function handler32(a: Assembler): void {
  const general = ['di', 'si', 'bp', 'rsp', 'bx', 'dx', 'cx', 'ax'] as const;
  a.use(32).text(`common32:
    pushad
    pushfd
    push ds; push es; push fs; push gs
    cs lgdt [homegdtr]
    mov ax, ${at.DATA32}; mov ds, ax; mov es, ax
    mov ebx, [${at.EVENT_POINTER}]
    ${['gs', 'fs', 'es', 'ds'].map((s) => `pop dword ptr [ebx+${slot(s as 'gs')}]; mov word ptr [ebx+${slot(s as 'gs') + 2}], 0`).join('; ')}
    pop dword ptr [ebx+${slot('flags')}]
    ${general.map((r) => `pop dword ptr [ebx+${slot(r)}]`).join('; ')}
    pop dword ptr [ebx]
    or dword ptr [ebx], ${EVENT_OF[32]}
    mov ax, cs; mov [ebx+${slot('cs')}], ax
    mov ax, ss; mov [ebx+${slot('ss')}], ax
    ${times(FRAME_WORDS, (n) => `pop dword ptr [ebx+${slot('frame', n)}]`)}
    mov eax, cr2; mov [ebx+${slot('cr2')}], eax
    mov eax, dr6; mov [ebx+${slot('dr6')}], eax
    add dword ptr [${at.EVENT_POINTER}], ${at.EVENT_BYTES}
    cmp dword ptr [${at.EVENT_POINTER}], ${at.EVENTS + at.EVENT_BYTES * at.MAX_EVENTS}
    jae end32
    dec dword ptr [${at.RETURNS}]
    js last32
    lgdt [gdtr]
    mov esp, [ebx+${slot('rsp')}]
    add esp, 4
    push dword ptr [ebx+${slot('ds')}]
    ${general
      .toReversed()
      .map((r) => `push dword ptr [ebx+${slot(r)}]`)
      .join('; ')}
    mov es, [ebx+${slot('es')}]
    popad
    pop ds
    iretd
    last32:
    mov dword ptr [${at.RETURNS}], 0
    xor ecx, ecx
    xchg [${at.RESUME}], ecx
    test ecx, ecx
    je end32
    lgdt [gdtr]
    mov ax, ${at.DATA32}; mov ss, ax
    mov esp, ${at.STACK0}
    xor eax, eax; xor ebx, ebx
    push 2; popfd
    jmp ecx
    end32:
    lgdt [homegdtr]
    mov ax, ${at.DATA32}; mov ss, ax
    jmpf ${at.CODE32}:home`);
}

function handler64(a: Assembler): void {
  const pushed = ['ax', 'cx', 'dx', 'bx', 'bp', 'si', 'di'] as const;
  const high = [8, 9, 10, 11, 12, 13, 14, 15];
  a.use(64).text(`common64:
    ${pushed.map((r) => `push r${r}`).join('; ')}
    ${high.map((n) => `push r${n}`).join('; ')}
    pushfq
    mov ebx, [${at.EVENT_POINTER}]
    pop qword ptr [rbx+${slot('flags')}]
    ${high
      .toReversed()
      .map((n) => `pop qword ptr [rbx+${slot('r8', n - 8)}]`)
      .join('; ')}
    ${pushed
      .toReversed()
      .map((r) => `pop qword ptr [rbx+${slot(r)}]`)
      .join('; ')}
    pop rax
    or eax, ${EVENT_OF[64]}
    mov [rbx], rax
    mov [rbx+${slot('rsp')}], rsp
    ${times(FRAME_WORDS, (n) => `mov rax, [rsp+${n * 8}]; mov [rbx+${slot('frame', n)}], rax`)}
    ${['cs', 'ss', 'ds', 'es', 'fs', 'gs'].map((s) => `mov ax, ${s}; mov [rbx+${slot(s as 'cs')}], ax`).join('; ')}
    mov rax, cr2; mov [rbx+${slot('cr2')}], rax
    mov rax, dr6; mov [rbx+${slot('dr6')}], rax
    add dword ptr [${at.EVENT_POINTER}], ${at.EVENT_BYTES}
    cmp dword ptr [${at.EVENT_POINTER}], ${at.EVENTS + at.EVENT_BYTES * at.MAX_EVENTS}
    jae end64
    dec dword ptr [${at.RETURNS}]
    js last64
    ${high.map((n) => `mov r${n}, [rbx+${slot('r8', n - 8)}]`).join('; ')}
    ${pushed
      .filter((r) => r !== 'bx')
      .map((r) => `mov r${r}, [rbx+${slot(r)}]`)
      .join('; ')}
    mov rbx, [rbx+${slot('bx')}]
    iretq
    last64:
    mov dword ptr [${at.RETURNS}], 0
    xor ecx, ecx
    xchg [${at.RESUME}], rcx
    test rcx, rcx
    je end64
    mov ax, ${at.DATA32}; mov ss, ax; mov ds, ax; mov es, ax
    mov esp, ${at.STACK0}
    xor eax, eax; xor ebx, ebx
    push 2; popfq
    jmp rcx
    end64:
    lgdt [abs_homegdtr64]
    mov ax, ${at.DATA32}; mov ss, ax
    mov esp, ${at.STACK0}
    push ${at.CODE32}; push home
    o64 retf`);
}

const times = (count: number, line: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => line(n)).join('\n');

/** Descriptor-table registers of the program and of the kernel, and the kernel's own GDT. */
function tables(a: Assembler): void {
  const register = (name: string, limit: number, base: number | Label, wide = false) => {
    a.bind(a.label(name)).dw(limit);
    if (wide) a.dq(base);
    else a.dd(base);
  };
  a.use(32).align(8);
  const homeGdt = a.label('homegdt');
  register('gdtr', at.GDT_BYTES - 1, at.GDT);
  register('idtr32', at.VECTORS * 8 - 1, at.IDT32);
  register('abs_idtr64', at.VECTORS * 16 - 1, at.IDT64, true);
  register('ivtr', 0x3ff, 0);
  register('nullidtr', 0, 0);
  register('homegdtr', 0x27, homeGdt);
  register('abs_homegdtr64', 0x27, homeGdt, true);
  a.align(8).bind(homeGdt);
  // Null; code and data, flat; code and data of 64 KiB, for the way to real mode.
  a.dq(0, 0x00cf9b000000ffffn, 0x00cf93000000ffffn, 0x00009b000000ffffn, 0x000093000000ffffn);
}
