#!/usr/bin/env python3
"""Compares our RFC822.SIZE, ENVELOPE and BODYSTRUCTURE with those of Dovecot and Cyrus over a corpus of real and broken mail.

usage: corpus_structure.py [--barid PROGRAM] [--at-least PERCENT] [--show N] [--only NAME]
       [--trees] [--trees-at-least PERCENT]

The corpus is ../shared/corpus beside the repository, or $BARID_SHARED/corpus. Where the two servers agree we should give their
answer. BODYSTRUCTURE is compared without regard to case, because one of them changes it."""
import argparse
import json
import lzma
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def parse(text, at):
    """One IMAP value at text[at:]: (value, next place). Lists, NIL, quoted strings, literals, atoms."""
    while text[at:at + 1] == b' ':
        at += 1
    first = text[at:at + 1]
    if first == b'(':
        values, at = [], at + 1
        while True:
            while text[at:at + 1] == b' ':
                at += 1
            if text[at:at + 1] == b')':
                return values, at + 1
            if at >= len(text):
                raise ValueError('list without end')
            value, at = parse(text, at)
            values.append(value)
    if first == b'"':
        out, at = bytearray(), at + 1
        while text[at:at + 1] != b'"':
            if at >= len(text) or text[at] in b'\r\n\0' or text[at] > 127:
                raise ValueError('bad quoted string')
            if text[at:at + 1] == b'\\':
                at += 1
            out += text[at:at + 1]
            at += 1
        return out.decode('latin-1'), at + 1
    if first == b'{':
        end = text.index(b'}\r\n', at)
        size = int(text[at + 1:end])
        start = end + 3
        return text[start:start + size].decode('latin-1'), start + size
    end = at
    while end < len(text) and text[end:end + 1] not in (b' ', b'(', b')', b'\n'):
        end += 1
    if end == at:
        raise ValueError('nothing at %d: %r' % (at, text[at:at + 40]))
    atom = text[at:end].decode('latin-1')
    return (None if atom == 'NIL' else atom), end


def lower(value):
    if isinstance(value, str):
        return value.lower()
    return [lower(v) for v in value] if isinstance(value, list) else value


def norm(item, value):
    return lower(value) if item == 'BODYSTRUCTURE' else value


def tree(value):
    """The shape of a BODYSTRUCTURE: types, and what lies in what."""
    if not isinstance(value, list) or not value:
        return value
    if isinstance(value[0], list):
        parts = [v for v in value if isinstance(v, list)]
        subtype = value.index(next(v for v in value if not isinstance(v, list)))
        return ['multipart', lower(value[subtype]), [tree(v) for v in parts[:subtype]]]
    kind = lower(value[:2])
    if kind == ['message', 'rfc822'] and len(value) > 8 and isinstance(value[8], list):
        return kind + [tree(value[8])]
    return kind


def answers(path):
    with lzma.open(path, 'rt', encoding='utf-8') as file:
        return {a['f']: a for a in map(json.loads, file)}


def ours(barid, corpus, names):
    result = {}
    for start in range(0, len(names), 200):
        batch = names[start:start + 200]
        out = subprocess.run([barid, 'mime', '--imap'] + [str(corpus / n) for n in batch],
                             stdout=subprocess.PIPE, check=True).stdout
        at = 0
        for name in batch:
            value, at = parse(out, at)
            assert out[at:at + 1] == b'\n', (name, out[at:at + 40])
            at += 1
            result[name] = dict(zip(value[0::2], value[1::2]))
    return result


def main():
    options = argparse.ArgumentParser()
    options.add_argument('--barid', default=str(ROOT / 'barid'))
    options.add_argument('--at-least', type=float, default=0)
    options.add_argument('--trees', action='store_true', help='show every tree that differs from Dovecot\'s')
    options.add_argument('--trees-at-least', type=float, default=0)
    options.add_argument('--show', type=int, default=0)
    options.add_argument('--only', default='')
    options = options.parse_args()
    shared = pathlib.Path(os.environ.get('BARID_SHARED', ROOT.parent / 'shared'))
    corpus = shared / 'corpus'
    if not (corpus / 'answers').is_dir():
        print('skipped: no corpus at', corpus)
        return 0
    dovecot = answers(corpus / 'answers' / 'dovecot-2.3.19.jsonl.xz')
    cyrus = answers(corpus / 'answers' / 'cyrus-3.6.1.jsonl.xz')
    names = sorted(dovecot)
    mine = ours(options.barid, corpus, names)
    worst = 100.0
    for item in ('RFC822.SIZE', 'ENVELOPE', 'BODYSTRUCTURE'):
        agreed = same = 0
        for name in names:
            left, right = dovecot[name].get(item), cyrus.get(name, {}).get(item)
            if left is None or right is None or norm(item, left) != norm(item, right):
                continue
            agreed += 1
            got = mine[name].get(item)
            if norm(item, got) == norm(item, left):
                same += 1
            elif options.show > 0 and options.only in ('', item):
                options.show -= 1
                print(name, item, '\n  they', json.dumps(left)[:1500], '\n  we  ', json.dumps(got)[:1500])
        percent = 100.0 * same / agreed if agreed else 100.0
        worst = min(worst, percent)
        print('%-14s the two agree on %d messages, we on %d of them: %.2f %%' % (item, agreed, same, percent))
    same = sum(tree(mine[n].get('BODYSTRUCTURE')) == tree(dovecot[n].get('BODYSTRUCTURE')) for n in names)
    percent = 100.0 * same / len(names)
    print('MIME tree      Dovecot answers %d messages, we the same for %d of them: %.2f %%' % (len(names), same, percent))
    if options.trees:
        for name in names:
            got, theirs = tree(mine[name].get('BODYSTRUCTURE')), tree(dovecot[name].get('BODYSTRUCTURE'))
            if got != theirs:
                print(name, '\n  they', json.dumps(theirs)[:600], '\n  we  ', json.dumps(got)[:600])
    return 0 if worst >= options.at_least and percent >= options.trees_at_least else 1


if __name__ == '__main__':
    sys.exit(main())
