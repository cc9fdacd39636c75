// The BIOS from power-on to the kernel: vectors, interrupt controllers, timer, serial port, data area; then INT 19h.

/** The data area's segment, which most services load. */
export const BDA_SEGMENT = 0x40;
/** Where the POST has its stack: below the place of boot sectors. */
const POST_STACK = 0x7c00;
export const VECTORS = 0x78;
/** COM1 there, its registers from 0x3f8 on (PC16550D datasheet 8.0). */
export const COM1 = 0x3f8;
export const COM1_STATUS = COM1 + 5;
/** 115200 baud, 8 data bits, DTR and RTS. */
const COM1_SETTINGS = [
  [3, 0x80],
  [0, 1],
  [1, 0],
  [3, 3],
  [4, 3],
] as const;
/** ICW1 to ICW4 of both controllers: IRQ 0-7 at INT 8, IRQ 8-15 at INT 70h (8259A datasheet); open: timer and cascade. */
const PIC_SETTINGS = [
  [0x20, 0x11],
  [0x21, 0x08],
  [0x21, 0x04],
  [0x21, 0x01],
  [0xa0, 0x11],
  [0xa1, 0x70],
  [0xa1, 0x02],
  [0xa1, 0x01],
  [0x21, 0xfa],
  [0xa1, 0xff],
] as const;
/** Channel 0, mode 2, 65536: 18.2 times a second. */
const PIT_SETTINGS = [
  [0x43, 0x34],
  [0x40, 0],
  [0x40, 0],
] as const;
/**
 * Equipment: a coprocessor and one serial port. That the number of text columns stays 0 says that there is no display:
 * Linux then writes to none.
 */
const EQUIPMENT = 0x0202;
const EBDA_SEGMENT = 0x9fc0;
const KEY_BUFFER = 0x1e;
const KEY_BUFFER_END = 0x3e;
const DATA_AREA = [
  [0x00, COM1],
  [0x0e, EBDA_SEGMENT],
  [0x10, EQUIPMENT],
  [0x1a, KEY_BUFFER],
  [0x1c, KEY_BUFFER],
  [0x63, 0x3d4],
  [0x80, KEY_BUFFER],
  [0x82, KEY_BUFFER_END],
] as const;

const outs = (settings: readonly (readonly [number, number])[], base = 0): string =>
  settings
    .map(([port, value]) => `mov dx, ${base + port}\nmov al, ${value}\nout dx, al`)
    .join('\n');

/** Needs `vectors`: one word for each of `VECTORS`. */
export const post = `
post:
  cli
  cld
  xor ax, ax
  mov es, ax
  mov ss, ax
  mov sp, ${POST_STACK}
  push cs
  pop ds
  mov si, vectors
  xor di, di
  mov cx, ${VECTORS}
post_vector:
  movsw
  mov ax, cs
  stosw
  loop post_vector
  mov ax, ${BDA_SEGMENT}
  mov ds, ax
  ${DATA_AREA.map(([at, value]) => `mov word ptr [${at}], ${value}`).join('\n')}
  ${outs(PIC_SETTINGS)}
  ${outs(PIT_SETTINGS)}
  ${outs(COM1_SETTINGS, COM1)}
  sti
  int 0x19
`;

/** What a service ends with when its answer is the carry flag: set in the flags that IRET restores. */
export const returns = `
return_ok:
  push bp
  mov bp, sp
  and byte ptr [bp+6], 0xfe
  pop bp
  iret
return_error:
  push bp
  mov bp, sp
  or byte ptr [bp+6], 1
  pop bp
  iret
`;

/** Interrupts of devices, and of the CPU itself: an exception in real mode is the end, and says so. */
export const interrupts = `
int_none:
  iret
irq_timer:
  push ax
  push ds
  push ${BDA_SEGMENT}
  pop ds
  inc dword ptr [0x6c]
  cmp dword ptr [0x6c], 0x1800b0
  jb irq_timer_hook
  and dword ptr [0x6c], 0
  mov byte ptr [0x70], 1
irq_timer_hook:
  int 0x1c
  mov al, 0x20
  out 0x20, al
  pop ds
  pop ax
  iret
irq_slave:
  push ax
  mov al, 0x20
  out 0xa0, al
  out 0x20, al
  pop ax
  iret
irq_master:
  push ax
  mov al, 0x20
  out 0x20, al
  pop ax
  iret
exception:
  push cs
  pop ds
  mov si, exception_text
exception_next:
  lodsb
  test al, al
  je exception_end
  mov ah, 0x0e
  int 0x10
  jmp exception_next
exception_end:
  cli
  hlt
  jmp exception_end
`;
