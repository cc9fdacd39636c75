// BIOS services about the machine: equipment and memory (INT 11h, 12h, 15h), time of day (INT 1Ah).

import { BDA_SEGMENT } from './post.ts';

const SMAP = 0x534d4150;
export const E820_BYTES = 20;
/** INT 15h AH=88h and AX=E801h stop at 64 and at 16 MiB; both count from 1 MiB on, in KiB. */
const KIB_BELOW_16M = 15 << 10;
const KIB_OF_88H = 63 << 10;

export interface SystemFacts {
  readonly e820Entries: number;
  /** Memory from 1 MiB on. */
  readonly extendedKib: number;
}

/** Needs `e820_table` and `system_table`. */
export function system({ e820Entries, extendedKib }: SystemFacts): string {
  const below16m = Math.min(extendedKib, KIB_BELOW_16M);
  const blocksAbove = Math.min((extendedKib - below16m) >> 6, 0xffff);
  return `
int11:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  mov ax, [0x10]
  pop ds
  iret
int12:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  mov ax, [0x13]
  pop ds
  iret
int15:
  cmp ax, 0xe820
  je int15_e820
  cmp ax, 0xe801
  je int15_e801
  cmp ah, 0x88
  je int15_88
  cmp ah, 0xc0
  je int15_c0
  cmp ax, 0x2401
  je int15_a20_enable
  cmp ax, 0x2402
  je int15_a20_status
  cmp ax, 0x2403
  je int15_a20_support
int15_absent:
  mov ah, 0x86
  jmp return_error
int15_e820:
  cmp edx, ${SMAP}
  jne int15_absent
  cmp ecx, ${E820_BYTES}
  jb int15_absent
  cmp ebx, ${e820Entries}
  jae int15_absent
  push si
  push di
  push ds
  push cs
  pop ds
  imul si, bx, ${E820_BYTES}
  add si, e820_table
  mov ecx, ${E820_BYTES}
  cld
  rep movsb
  pop ds
  pop di
  pop si
  mov ecx, ${E820_BYTES}
  mov eax, ${SMAP}
  inc bx
  cmp bx, ${e820Entries}
  jb return_ok
  xor ebx, ebx
  jmp return_ok
int15_e801:
  mov ax, ${below16m}
  mov bx, ${blocksAbove}
  mov cx, ax
  mov dx, bx
  jmp return_ok
int15_88:
  mov ax, ${Math.min(extendedKib, KIB_OF_88H)}
  jmp return_ok
int15_c0:
  push cs
  pop es
  mov bx, system_table
  xor ah, ah
  jmp return_ok
int15_a20_enable:
  xor ah, ah
  jmp return_ok
int15_a20_status:
  mov ax, 1
  jmp return_ok
int15_a20_support:
  xor ah, ah
  mov bx, 2
  jmp return_ok
`;
}

/** Time of day from the clock chip, whose registers hold BCD as it leaves the factory (MC146818A data sheet). */
export const time = `
int1a:
  cmp ah, 0x00
  je int1a_ticks
  cmp ah, 0x02
  je int1a_time
  cmp ah, 0x04
  je int1a_date
  jmp return_error
int1a_ticks:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  mov dx, [0x6c]
  mov cx, [0x6e]
  mov al, [0x70]
  mov byte ptr [0x70], 0
  pop ds
  jmp return_ok
int1a_time:
  push ax
  call cmos_settle
  mov al, 0x04
  call cmos_read
  mov ch, al
  mov al, 0x02
  call cmos_read
  mov cl, al
  mov al, 0x00
  call cmos_read
  mov dh, al
  mov dl, 0
  pop ax
  jmp return_ok
int1a_date:
  push ax
  call cmos_settle
  mov al, 0x32
  call cmos_read
  mov ch, al
  mov al, 0x09
  call cmos_read
  mov cl, al
  mov al, 0x08
  call cmos_read
  mov dh, al
  mov al, 0x07
  call cmos_read
  mov dl, al
  pop ax
  jmp return_ok
cmos_settle:
  mov al, 0x0a
  call cmos_read
  test al, 0x80
  jne cmos_settle
  ret
cmos_read:
  out 0x70, al
  in al, 0x71
  ret
`;
