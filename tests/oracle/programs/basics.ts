// The first steps in each mode: that the image itself works, and an exception in each.

import { DONE, programs, user32, user64 } from '../program.ts';

const REF = 'SDM 3A 6.15';

export const basics = programs('basics', [
  { name: 'real mode ends', ref: 'SDM 3A 21.1', mode: 'real', code: `mov ax, 0x1234; ${DONE}` },
  { name: 'real mode #UD', ref: REF, mode: 'real', code: 'ud2' },
  { name: 'protected mode ends', ref: REF, mode: 'prot', code: `mov eax, 0x12345678; ${DONE}` },
  { name: 'protected mode #UD', ref: REF, mode: 'prot', code: 'ud2' },
  { name: 'protected mode #GP', ref: REF, mode: 'prot', code: 'mov ax, 0x1000; mov ds, ax' },
  { name: 'paged mode #PF', ref: REF, mode: 'paged', code: 'mov eax, [0x400000]' },
  { name: 'PAE mode #PF', ref: REF, mode: 'pae', code: 'mov eax, [0x200000]' },
  { name: 'long mode ends', ref: REF, mode: 'long', code: `mov rax, 0x123456789abcdef0; ${DONE}` },
  { name: 'long mode #PF', ref: REF, mode: 'long', code: 'mov eax, [0x200000]' },
  { name: 'long mode #UD', ref: REF, mode: 'long', code: 'ud2' },
  { name: 'ring 3 in protected mode', ref: REF, mode: 'prot', code: `${user32('u')}\nu:\nhlt` },
  { name: 'ring 3 in long mode', ref: REF, mode: 'long', code: `${user64('u')}\nu:\nhlt` },
]);
