// BIOS services for text and keys, both on the first serial port: INT 10h, 16h; and what is not there: INT 13h.

import { BDA_SEGMENT, COM1, COM1_STATUS } from './post.ts';

/** There is no display: what asks for one finds its registers as they were, and no columns of text. */
export const video = `
int10:
  cmp ah, 0x0e
  je int10_teletype
  cmp ah, 0x0f
  je int10_mode
  cmp ah, 0x03
  je int10_cursor
  iret
int10_teletype:
  push ax
  push dx
  push ax
  mov dx, ${COM1_STATUS}
int10_wait:
  in al, dx
  test al, 0x20
  je int10_wait
  pop ax
  mov dx, ${COM1}
  out dx, al
  pop dx
  pop ax
  iret
int10_mode:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  mov al, [0x49]
  mov ah, [0x4a]
  mov bh, [0x62]
  pop ds
  iret
int10_cursor:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  mov dx, [0x50]
  mov cx, [0x60]
  pop ds
  iret
`;

/** What comes in on the serial port are keys without scan codes. The buffer of the data area holds one. */
export const keyboard = `
int16:
  cmp ah, 0x00
  je int16_get
  cmp ah, 0x10
  je int16_get
  cmp ah, 0x01
  je int16_peek
  cmp ah, 0x11
  je int16_peek
  cmp ah, 0x02
  je int16_shift
  iret
int16_get:
  push ds
  push ${BDA_SEGMENT}
  pop ds
int16_wait:
  call key_ready
  jne int16_take
  sti
  hlt
  jmp int16_wait
int16_take:
  mov ax, [0x1e]
  mov word ptr [0x1c], 0x1e
  pop ds
  iret
int16_peek:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  call key_ready
  je int16_no_key
  mov ax, [0x1e]
  pop ds
  push bp
  mov bp, sp
  and byte ptr [bp+6], 0xbf
  pop bp
  iret
int16_no_key:
  pop ds
  push bp
  mov bp, sp
  or byte ptr [bp+6], 0x40
  pop bp
  iret
int16_shift:
  push ds
  push ${BDA_SEGMENT}
  pop ds
  mov al, [0x17]
  pop ds
  iret
key_ready:
  push ax
  push dx
  cmp word ptr [0x1c], 0x1e
  jne key_ready_end
  mov dx, ${COM1_STATUS}
  in al, dx
  test al, 1
  je key_ready_end
  mov dx, ${COM1}
  in al, dx
  xor ah, ah
  mov [0x1e], ax
  mov word ptr [0x1c], 0x20
key_ready_end:
  cmp word ptr [0x1c], 0x1e
  pop dx
  pop ax
  ret
`;

/** No drives: every function fails as an invalid one. */
export const disk = `
int13:
  mov ah, 1
  jmp return_error
`;
