// Virtio console: one port, to a byte sink; what the user types waits for receive buffers.

import { defineVirtio, type VirtioPort } from './define.ts';
import { gather, scatter, totalBytes } from './segments.ts';
import { type ServiceState, serve, serviceState } from './service.ts';

/** Feature bit (virtio 1.2 5.3.3). More ports and a size are not offered. */
export const VIRTIO_CONSOLE_F_EMERG_WRITE = 2;

const RECEIVE = 0;
const TRANSMIT = 1;
/** struct virtio_console_config: cols, rows, max_nr_ports, emerg_wr (5.3.4). */
const CONFIG_BYTES = 12;
const EMERG_WR = 8;
/** Typed bytes that wait; the sender keeps the rest. */
const INPUT_MAX = 4096;
/** A buffer longer than any driver sends. */
const OUTPUT_MAX = 1 << 20;
const NANOS = 1_000;
const NANOS_PER_BYTE = 10;

export interface ConsoleState {
  readonly sending: ServiceState;
  readonly input: number[];
}

export interface ConsoleNeeds {
  transmit(byte: number): void;
}

export interface ConsoleFace {
  /** Takes as many bytes as there is room for and says how many. */
  receive(bytes: ArrayLike<number>): number;
  room(): number;
}

export const virtioConsole = defineVirtio({
  name: 'virtio-console',
  ref: 'virtio 1.2 5.3',
  deviceId: 3,
  transitionalId: 0x1003,
  pciClass: 0x078000,
  queues: [64, 64],
  state: (): ConsoleState => ({ sending: serviceState(), input: [] }),
  plug({ state, port, transmit }: { state: ConsoleState; port: VirtioPort } & ConsoleNeeds) {
    const config = new Uint8Array(CONFIG_BYTES);
    config[4] = 1; // max_nr_ports
    const sending = serve(port, state.sending, {
      queue: TRANSMIT,
      latency: (chain) => NANOS + NANOS_PER_BYTE * Math.min(totalBytes(chain.readable), OUTPUT_MAX),
      complete(chain) {
        const length = totalBytes(chain.readable);
        if (length > OUTPUT_MAX) {
          port.fail(`an output buffer has ${length} bytes`);
          return null;
        }
        for (const byte of gather(port.ram(), chain.readable)) transmit(byte);
        return 0;
      },
    });
    const timer = port.clock.timer(`${port.id}.receive`, () => deliver());
    /** One buffer a turn. */
    const deliver = () => {
      if (state.input.length === 0 || !port.running()) return;
      const queue = port.queue(RECEIVE);
      const chain = queue.pop();
      if (chain === null) return;
      const written = scatter(port.ram(), chain.writable, Uint8Array.from(state.input));
      state.input.splice(0, written);
      queue.push(chain.head, written);
      queue.signal();
      if (state.input.length > 0) timer.set(port.clock.now() + NANOS);
    };
    const face: ConsoleFace = {
      receive(bytes) {
        const taken = Math.min(bytes.length, INPUT_MAX - state.input.length);
        for (let i = 0; i < taken; i++) state.input.push(bytes[i]! & 0xff);
        deliver();
        return taken;
      },
      room: () => INPUT_MAX - state.input.length,
    };
    return {
      features: [VIRTIO_CONSOLE_F_EMERG_WRITE],
      config: () => config,
      writeConfig(offset: number, byte: number) {
        if (offset === EMERG_WR) transmit(byte); // Whatever state the device is in (5.3.4).
      },
      notified(queue: number) {
        if (queue === TRANSMIT) sending.kick();
        else deliver();
      },
      reset() {
        sending.reset();
        timer.cancel();
        state.input.length = 0;
      },
      face,
    };
  },
});
