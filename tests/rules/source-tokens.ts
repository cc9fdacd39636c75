// Splits TypeScript source into tokens, so that rules see code and comments apart and are not fooled by strings.

export interface Token {
  readonly kind: 'word' | 'number' | 'string' | 'template' | 'regex' | 'punct' | 'comment';
  readonly text: string;
  readonly line: number;
}

const SPACE = /\s+/y;
const COMMENT = /\/\/[^\n]*|\/\*[\s\S]*?\*\//y;
const WORD = /[\p{ID_Start}$_#][\p{ID_Continue}$\u200c\u200d]*/uy;
const NUMBER = /\.?\d[\w.]*/y;
const STRING = /'(?:[^'\\\n]|\\[\s\S])*'|"(?:[^"\\\n]|\\[\s\S])*"/y;
const REGEX = /\/(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/\w*/y;
/** From a backquote or the end of a substitution to the next substitution or the closing backquote. */
const TEMPLATE = /[`}](?:[^`\\$]|\\[\s\S]|\$(?!\{))*(?:`|\$\{)/y;

const BEFORE_REGEX = new Set(
  'return typeof case in of do else void delete instanceof new throw yield await'.split(' '),
);

export function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  const braces: ('block' | 'substitution')[] = [];
  let at = 0;
  let line = 1;
  let last: Token | undefined;

  const eat = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const push = (kind: Token['kind'], found: string): void => {
    const token = { kind, text: found, line };
    tokens.push(token);
    if (kind !== 'comment') last = token;
    advance(found);
  };
  const advance = (found: string): void => {
    at += found.length;
    line += found.split('\n').length - 1;
  };
  const template = (): boolean => {
    const part = eat(TEMPLATE);
    if (part === undefined) return false;
    if (part.endsWith('${')) braces.push('substitution');
    push('template', part);
    return true;
  };

  while (at < text.length) {
    const space = eat(SPACE);
    if (space !== undefined) {
      advance(space);
      continue;
    }
    const char = text[at] ?? '';
    if (char === '`' && template()) continue;
    if (char === '}' && braces.pop() === 'substitution' && template()) continue;
    if (char === '{') braces.push('block');
    const comment = eat(COMMENT);
    if (comment !== undefined) {
      push('comment', comment);
      continue;
    }
    const [kind, found] = plain(eat, char, last);
    push(kind, found);
  }
  return tokens;
}

function plain(
  eat: (pattern: RegExp) => string | undefined,
  char: string,
  last: Token | undefined,
): [Token['kind'], string] {
  const word = eat(WORD);
  if (word !== undefined) return ['word', word];
  const number = eat(NUMBER);
  if (number !== undefined) return ['number', number];
  const string = eat(STRING);
  if (string !== undefined) return ['string', string];
  const regex = char === '/' && regexMayFollow(last) ? eat(REGEX) : undefined;
  if (regex !== undefined) return ['regex', regex];
  return ['punct', char];
}

function regexMayFollow(last: Token | undefined): boolean {
  if (last === undefined) return true;
  if (last.kind === 'word') return BEFORE_REGEX.has(last.text);
  if (last.kind === 'punct') return ![')', ']', '}'].includes(last.text);
  return last.kind === 'template' && last.text.endsWith('${');
}
