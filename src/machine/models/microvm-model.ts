// The microvm as a machine model: nothing can be plugged in.

import type { ModelDefinition } from './define.ts';
import { createMicrovm } from './microvm.ts';
import { writeMicrovmFirmware } from './microvm-firmware.ts';

export const microvmModel: ModelDefinition = {
  id: 'microvm',
  title: 'interrupt controllers, timers, one serial port, ACPI tables; no PCI',
  offers: { disks: { ide: 0, virtio: 0 }, nics: 0, extras: [], rom: false },
  build: (config) => ({
    machine: createMicrovm(config),
    powerOn: ({ ram, processor }) => writeMicrovmFirmware(ram, processor),
  }),
};
