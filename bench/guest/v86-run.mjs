// Boots a bzImage in the npm package v86 with its serial console on stdout: what bench:guest starts as the 32-bit peer.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const [library, wasm, firmware, megabytes, kernel, initrd, commandLine] = process.argv.slice(2);
const { V86 } = await import(library);

const image = (path) => {
  const bytes = readFileSync(path);
  return { buffer: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) };
};

const emulator = new V86({
  wasm_path: wasm,
  memory_size: Number(megabytes) << 20,
  vga_memory_size: 2 << 20,
  bios: image(join(firmware, 'bios.bin')),
  vga_bios: image(join(firmware, 'vgabios-stdvga.bin')),
  bzimage: image(kernel),
  initrd: image(initrd),
  cmdline: commandLine,
  disable_keyboard: true,
  disable_mouse: true,
  disable_speaker: true,
  autostart: true,
});

let line = '';
emulator.add_listener('serial0-output-byte', (byte) => {
  line += String.fromCharCode(byte);
  if (byte !== 10) return;
  process.stdout.write(line);
  line = '';
});
