// Ports: the instructions of the same names, whole strings with a repeat prefix.

import { natively, RCX, RDI, RSI, type VmiVcpu } from '../vcpu.ts';
import { defineCall, type VmiCall } from './define.ts';

const VALUE = { 1: 'al', 2: 'ax', 4: 'eax' } as const;
type Bytes = keyof typeof VALUE;

export const inl = input(49, 'INL', 4);
export const inb = input(50, 'INB', 1);
export const inw = input(51, 'INW', 2);
export const insl = inputString(52, 'INSL', 4);
export const insb = inputString(53, 'INSB', 1);
export const insw = inputString(54, 'INSW', 2);
export const outl = output(55, 'OUTL', 4);
export const outb = output(56, 'OUTB', 1);
export const outw = output(57, 'OUTW', 2);
export const outsl = outputString(58, 'OUTSL', 4);
export const outsb = outputString(59, 'OUTSB', 1);
export const outsw = outputString(60, 'OUTSW', 2);

export const ioDelay = defineCall({ number: 65, name: 'IODelay', handle: () => 0 });

function input(number: number, name: string, bytes: Bytes): VmiCall {
  return defineCall({
    number,
    name,
    takes: { port: 'edx' },
    gives: VALUE[bytes],
    loses: 'nothing',
    handle: (vcpu, { edx }) => natively(vcpu, 'in', edx, bytes),
  });
}

function output(number: number, name: string, bytes: Bytes): VmiCall {
  return defineCall({
    number,
    name,
    takes: { value: 'eax', port: 'edx' },
    loses: 'nothing',
    handle: (vcpu, { edx }) => natively(vcpu, 'out', edx, bytes),
  });
}

/** One item at a time: the trap is met again, with what is left in ECX, until nothing is. */
function inputString(number: number, name: string, bytes: Bytes): VmiCall {
  return defineCall({
    number,
    name,
    takes: { to: 'edi', port: 'edx', count: 'ecx' },
    loses: 'edi, ecx',
    handle: (vcpu) => string(vcpu, 'ins', RDI, bytes),
  });
}

function outputString(number: number, name: string, bytes: Bytes): VmiCall {
  return defineCall({
    number,
    name,
    takes: { from: 'esi', port: 'edx', count: 'ecx' },
    loses: 'esi, ecx',
    handle: (vcpu) => string(vcpu, 'outs', RSI, bytes),
  });
}

function string(vcpu: VmiVcpu, name: 'ins' | 'outs', register: number, bytes: Bytes): 0 | 1 {
  const { state } = vcpu.platform.cpu;
  if (state.gpr32(RCX) === 0) return 0;
  return natively(vcpu, name, state.gpr32(register), bytes, 1);
}
