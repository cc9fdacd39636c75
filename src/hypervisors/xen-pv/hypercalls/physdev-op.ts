// physdev_op: ports and interrupts of devices, of which a guest without devices has only its IOPL.

import { EBUSY, EFAULT, EINVAL, ENOSPC, ENOSYS, EPERM } from '../../xen/abi/errno.ts';
import type { XenFields, XenStruct } from '../../xen/abi/layout.ts';
import { NR_GSIS, NR_PIRQS } from '../../xen/abi/xen.ts';
import { type Call, defineHypercall, readable, type SubOperation } from '../../xen/define.ts';
import { names, notMine } from '../../xen/domid.ts';
import * as abi from '../physdev-abi.ts';
import { currentVcpu, isGuestAddress, pvOf } from '../pv-domain.ts';

const PORTS = 65536;
/** Bytes of a bitmap of all ports. */
const IOBMP_BYTES = PORTS / 8;
/** Interrupts below are of ISA devices. */
const ISA_IRQS = 16;
const NOT_OURS = [-EPERM, 'only a domain with devices has their interrupts'] as const;
const NO_BUS = [-EPERM, "only the hardware domain has the machine's buses"] as const;

const bus = <F extends XenFields>(name: string, type: XenStruct<F>): SubOperation => ({
  name,
  first: readable(type),
  refuse: NO_BUS,
});

export const physdevOp = defineHypercall({
  number: 33,
  name: 'physdev_op',
  ref: 'physdev.h',
  callers: ['pv64', 'pv32'],
  args: { cmd: 's32', arg: 'gva' },
  subOperations: {
    [abi.PHYSDEVOP_IRQ_UNMASK_NOTIFY]: { name: 'PHYSDEVOP_IRQ_UNMASK_NOTIFY', handle: () => 0 },
    [abi.PHYSDEVOP_irq_status_query]: { name: 'PHYSDEVOP_irq_status_query', handle: irqStatus },
    [abi.PHYSDEVOP_set_iopl]: {
      name: 'PHYSDEVOP_set_iopl',
      handle(call, at) {
        const arg = call.guest.read(abi.setIopl, at);
        if (!arg) return -EFAULT;
        if (arg.iopl > 3) return -EINVAL;
        currentVcpu(pvOf(call)).iopl = arg.iopl;
        return 0;
      },
    },
    [abi.PHYSDEVOP_set_iobitmap]: { name: 'PHYSDEVOP_set_iobitmap', handle: setBitmap },
    [abi.PHYSDEVOP_apic_read]: {
      name: 'PHYSDEVOP_apic_read',
      first: readable(abi.apic),
      refuse: NOT_OURS,
    },
    [abi.PHYSDEVOP_apic_write]: {
      name: 'PHYSDEVOP_apic_write',
      first: readable(abi.apic),
      refuse: NOT_OURS,
    },
    [abi.PHYSDEVOP_alloc_irq_vector]: {
      name: 'PHYSDEVOP_alloc_irq_vector',
      first: readable(abi.irq),
      refuse: NOT_OURS,
    },
    [abi.PHYSDEVOP_free_irq_vector]: {
      name: 'PHYSDEVOP_free_irq_vector',
      refuse: [-ENOSYS, 'Xen has not done this since 3.1'],
    },
    [abi.PHYSDEVOP_eoi]: { name: 'PHYSDEVOP_eoi', handle: endOfInterrupt },
    [abi.PHYSDEVOP_map_pirq]: {
      name: 'PHYSDEVOP_map_pirq',
      first: names(abi.mapPirq, notMine),
      refuse: NOT_OURS,
    },
    [abi.PHYSDEVOP_unmap_pirq]: {
      name: 'PHYSDEVOP_unmap_pirq',
      first: names(abi.unmapPirq, notMine),
      refuse: NOT_OURS,
    },
    [abi.PHYSDEVOP_manage_pci_add]: bus('PHYSDEVOP_manage_pci_add', abi.managePci),
    [abi.PHYSDEVOP_manage_pci_remove]: bus('PHYSDEVOP_manage_pci_remove', abi.managePci),
    [abi.PHYSDEVOP_pirq_eoi_gmfn_v1]: { name: 'PHYSDEVOP_pirq_eoi_gmfn_v1', handle: mapEoi },
    [abi.PHYSDEVOP_restore_msi]: bus('PHYSDEVOP_restore_msi', abi.managePci),
    [abi.PHYSDEVOP_manage_pci_add_ext]: bus('PHYSDEVOP_manage_pci_add_ext', abi.managePciExt),
    [abi.PHYSDEVOP_setup_gsi]: {
      name: 'PHYSDEVOP_setup_gsi',
      first({ guest }, at) {
        const arg = guest.read(abi.setupGsi, at);
        if (!arg) return -EFAULT;
        return arg.gsi < 0 || arg.gsi >= NR_GSIS ? -EINVAL : 0;
      },
      refuse: NOT_OURS,
    },
    [abi.PHYSDEVOP_get_free_pirq]: { name: 'PHYSDEVOP_get_free_pirq', handle: reserveInterrupt },
    [abi.PHYSDEVOP_pci_mmcfg_reserved]: { name: 'PHYSDEVOP_pci_mmcfg_reserved', refuse: NO_BUS },
    [abi.PHYSDEVOP_pci_device_add]: bus('PHYSDEVOP_pci_device_add', abi.pciDeviceAdd),
    [abi.PHYSDEVOP_pci_device_remove]: bus('PHYSDEVOP_pci_device_remove', abi.pciDevice),
    [abi.PHYSDEVOP_restore_msi_ext]: bus('PHYSDEVOP_restore_msi_ext', abi.pciDevice),
    [abi.PHYSDEVOP_pirq_eoi_gmfn_v2]: { name: 'PHYSDEVOP_pirq_eoi_gmfn_v2', handle: mapEoi },
    [abi.PHYSDEVOP_dbgp_op]: { name: 'PHYSDEVOP_dbgp_op', refuse: NO_BUS },
    [abi.PHYSDEVOP_prepare_msix]: bus('PHYSDEVOP_prepare_msix', abi.pciDevice),
    [abi.PHYSDEVOP_release_msix]: bus('PHYSDEVOP_release_msix', abi.pciDevice),
  },
});

/** No port is this domain's, so a bitmap that opens some opens nothing. */
function setBitmap(call: Call, at: number): number {
  const arg = call.guest.read(abi.setIobitmap, at);
  if (!arg) return -EFAULT;
  const pv = pvOf(call);
  const inReach =
    isGuestAddress(pv, arg.bitmap) && isGuestAddress(pv, arg.bitmap + IOBMP_BYTES - 1);
  return inReach && arg.nr_ports <= PORTS ? 0 : -EINVAL;
}

/** Of an interrupt that may be: it would have to be ended by a call. */
function irqStatus({ guest }: Call, at: number): number {
  const arg = guest.read(abi.irqStatusQuery, at);
  if (!arg) return -EFAULT;
  if (arg.irq >= NR_PIRQS) return -EINVAL;
  return guest.write(abi.irqStatusQuery, at, { flags: abi.XENIRQSTAT_needs_eoi }) ? 0 : -EFAULT;
}

function endOfInterrupt(call: Call, at: number): number {
  const arg = call.guest.read(abi.eoi, at);
  if (!arg) return -EFAULT;
  return pvOf(call).state.pirqs.includes(arg.irq) ? 0 : -EINVAL;
}

/** A map of interrupts that need an end, in a page of the guest's: none ever will. */
function mapEoi(call: Call, at: number): number {
  const arg = call.guest.read(abi.pirqEoiGmfn, at);
  if (!arg) return -EFAULT;
  const { state } = pvOf(call);
  if (!call.domain.guest.holdFrame(arg.gmfn)) return -EINVAL;
  if (state.eoiFrame >= 0) {
    call.domain.guest.releaseFrame(arg.gmfn);
    return -EBUSY;
  }
  state.eoiFrame = arg.gmfn;
  return 0;
}

/** The next number for a device's interrupt; there is no device to raise it. */
function reserveInterrupt(call: Call, at: number): number {
  const arg = call.guest.read(abi.getFreePirq, at);
  if (!arg) return -EFAULT;
  const { pirqs } = pvOf(call).state;
  const pirq = freeInterrupt(pirqs, arg.type === abi.MAP_PIRQ_TYPE_GSI);
  if (pirq < 0) return -ENOSPC;
  pirqs.push(pirq);
  return call.guest.write(abi.getFreePirq, at, { pirq }) ? 0 : -EFAULT;
}

function freeInterrupt(taken: readonly number[], gsi: boolean): number {
  if (gsi) {
    for (let n = ISA_IRQS; n < NR_GSIS; n++) if (!taken.includes(n)) return n;
    return -1;
  }
  for (let n = NR_PIRQS - 1; n >= NR_GSIS; n--) if (!taken.includes(n)) return n;
  return -1;
}
