// The engines as CPU tests take them.

import { createReferenceEngine } from '../reference-engine.ts';
import { engineOf } from './machine.ts';

export const referenceEngine = engineOf('reference', createReferenceEngine);
