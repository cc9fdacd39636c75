// The guest's reading of the clock record that KVM and Xen share (pvclock-abi.h, vcpu_time_info), for the probe kernel.

import type { GuestCode, GuestOperation } from '../../ops/index.ts';

/** Offsets in the record. */
const [TIMESTAMP, SYSTEM_TIME, MULTIPLIER, SHIFT] = [8, 16, 24, 28];

/** `address` is the text of the record's address. */
export const readPvclock = (address: string): GuestOperation => ({
  emit: (code) => emitRead(code, address),
  clobbers: ['bx', 'si', 'di'],
});

/** ns = system_time + (((tsc - timestamp) shifted) * multiplier >> 32), read again if the version has changed or is odd. */
function emitRead(code: GuestCode, address: string): void {
  const [again, right, scaled] = ['again', 'right', 'scaled'].map((stem) => code.fresh(stem));
  code.text(`mov {si}, ${address}; ${again}:; mov ebx, [{si}]; test bl, 1; jne ${again}`);
  code.text(`rdtsc; sub eax, [{si}+${TIMESTAMP}]; sbb edx, [{si}+${TIMESTAMP + 4}]`);
  code.text(`mov cl, [{si}+${SHIFT}]; test cl, cl; js ${right}; shld edx, eax, cl; shl eax, cl`);
  code.text(`jmp ${scaled}; ${right}:; neg cl; shrd eax, edx, cl; shr edx, cl; ${scaled}:`);
  code.text(`mov ecx, edx; mul dword ptr [{si}+${MULTIPLIER}]; mov edi, edx; mov eax, ecx`);
  code.text(`mul dword ptr [{si}+${MULTIPLIER}]; add eax, edi; adc edx, 0`);
  code.text(`add eax, [{si}+${SYSTEM_TIME}]; adc edx, [{si}+${SYSTEM_TIME + 4}]`);
  code.text(`cmp ebx, [{si}]; jne ${again}`);
}
