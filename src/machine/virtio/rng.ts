// Virtio entropy device: bytes of a seeded generator, so that a run can be repeated. Not for secrets.

import { defineVirtio, type VirtioPort } from './define.ts';
import { scatter, totalBytes } from './segments.ts';
import { type ServiceState, serve, serviceState } from './service.ts';

/** A request is answered with at most this much; `used.len` says how much (virtio 1.2 5.4.6). */
const ANSWER_MAX = 4096;
const NANOS = 1_000;
const NANOS_PER_BYTE = 4;

export interface RngState {
  readonly service: ServiceState;
  readonly words: Uint32Array;
}

export interface RngNeeds {
  /** 32 bits; part of a run. */
  readonly seed: number;
}

export const virtioRng = defineVirtio({
  name: 'virtio-rng',
  ref: 'virtio 1.2 5.4',
  deviceId: 4,
  transitionalId: 0x1005,
  pciClass: 0x00ff00,
  queues: [8],
  state: (): RngState => ({ service: serviceState(), words: new Uint32Array(4) }),
  plug({ state, port, seed }: { state: RngState; port: VirtioPort } & RngNeeds) {
    fillWords(state.words, seed);
    const requests = serve(port, state.service, {
      queue: 0,
      latency: (chain) => NANOS + NANOS_PER_BYTE * Math.min(totalBytes(chain.writable), ANSWER_MAX),
      complete(chain) {
        const answer = new Uint8Array(Math.min(totalBytes(chain.writable), ANSWER_MAX));
        for (let i = 0; i < answer.length; i++) answer[i] = next(state.words) >>> 24;
        return scatter(port.ram(), chain.writable, answer);
      },
    });
    return {
      features: [],
      config: () => new Uint8Array(0),
      notified: () => requests.kick(),
      reset: () => requests.reset(),
      face: {},
    };
  },
});

/** Four different words from any seed: a 32-bit mixer over a Weyl sequence. Never all zero. */
function fillWords(words: Uint32Array, seed: number): void {
  for (let i = 0; i < 4; i++) {
    let word = (seed + Math.imul(i + 1, 0x9e3779b9)) >>> 0;
    word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
    word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
    words[i] = word ^ (word >>> 15);
  }
}

/** xoshiro128** (Blackman and Vigna, 2018). */
function next(s: Uint32Array): number {
  const result = Math.imul(rotate(Math.imul(s[1]!, 5), 7), 9) >>> 0;
  const shifted = s[1]! << 9;
  s[2]! ^= s[0]!;
  s[3]! ^= s[1]!;
  s[1]! ^= s[2]!;
  s[0]! ^= s[3]!;
  s[2]! ^= shifted;
  s[3] = rotate(s[3]!, 11);
  return result;
}

function rotate(word: number, by: number): number {
  return ((word << by) | (word >>> (32 - by))) >>> 0;
}
