// The pc as a machine model: IDE disks on its channels, virtio functions in its PCI slots, a ROM at its reset vector.

import type { Disk } from '../disk.ts';
import { virtioBlk } from '../virtio/blk.ts';
import { virtioConsole } from '../virtio/console.ts';
import { joinNics, type NetFace, virtioNet } from '../virtio/net.ts';
import { virtioRng } from '../virtio/rng.ts';
import { virtioPci } from '../virtio/transport-pci.ts';
import type { DiskBus, Fittings, MachineConfig, ModelDefinition, ReadyMachine } from './define.ts';
import { createPc, IDE_DISKS, PC_SLOTS, type Pc } from './pc.ts';
import { loadRom, writePcFirmware } from './pc-firmware.ts';
import { closeGraphicsHole, enterRom } from './pc-start.ts';

/** Disks, network cards and extras share the slots behind the board's own. */
const VIRTIO_DISKS = 8;
const NICS = 8;

export const pcModel: ModelDefinition = {
  id: 'pc',
  title:
    'a 440FX board: PCI, IDE, HPET, keyboard controller, two serial ports, firmware configuration',
  offers: {
    disks: { ide: IDE_DISKS, virtio: VIRTIO_DISKS },
    nics: NICS,
    extras: ['virtio-rng', 'virtio-console'],
    rom: true,
  },
  build: buildPc,
};

function buildPc(
  config: MachineConfig & { readonly seed: number },
  fittings: Fittings,
): ReadyMachine {
  const { rom } = fittings;
  const pc = createPc({ ...config, ideDisks: disksOn('ide', fittings) });
  plugVirtio(pc, config, fittings);
  return {
    machine: pc,
    powerOn({ cpu, ram, processor }) {
      closeGraphicsHole(cpu);
      if (!rom) return writePcFirmware(pc, ram, processor);
      loadRom(pc, ram, processor, rom.bytes);
      enterRom(cpu);
      return 0;
    },
  };
}

function disksOn(wanted: DiskBus, { disks }: Fittings): readonly Disk[] {
  return disks.filter(({ bus }) => bus === wanted).map(({ disk }) => disk);
}

const BLK = virtioPci(virtioBlk);
const NET = virtioPci(virtioNet);
const RNG = virtioPci(virtioRng);
const CONSOLE = virtioPci(virtioConsole);

function plugVirtio(
  { pci, chipset }: Pc,
  config: MachineConfig & { readonly seed: number },
  fittings: Fittings,
): void {
  const { clock, slots, consoles } = chipset;
  let slot: number = PC_SLOTS.firstFree;
  const place = () => ({ slot: slot++ });
  const shared = (id: string) => ({ id, clock, log: () => {} });
  disksOn('virtio', fittings).forEach((disk, n) => {
    pci.add(`virtio-blk.${n}`, BLK, place(), { ...shared(`virtio-blk.${n}`), disk });
    slots.add(`disk.virtio.${n}`, disk);
  });
  let nics = 0;
  const addNic = (): NetFace => {
    const id = `virtio-net.${nics}`;
    return pci.add(id, NET, place(), { ...shared(id), mac: macOf(nics++) });
  };
  for (const wire of fittings.nets) {
    const first = addNic();
    if (wire === 'link') joinNics(first, addNic());
  }
  for (const extra of fittings.extras) {
    if (extra === 'virtio-rng') {
      pci.add('virtio-rng', RNG, place(), { ...shared('virtio-rng'), seed: config.seed });
    } else {
      const face = pci.add('virtio-console', CONSOLE, place(), {
        ...shared('virtio-console'),
        transmit: consoles.speaker('virtio', config.transmit),
      });
      consoles.connect('virtio', face);
    }
  }
}

/** QEMU's prefix, locally administered; the last byte counts. */
function macOf(nic: number): readonly number[] {
  return [0x52, 0x54, 0x00, 0x12, 0x34, 0x56 + nic];
}
