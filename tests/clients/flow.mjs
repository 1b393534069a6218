// imapflow and nodemailer against a server: sends three messages, waits for them, reads, flags, moves, deletes.
// Prints one JSON object; test_npm.py looks at it.
import fs from 'node:fs';
import { ImapFlow } from 'imapflow';
import nodemailer from 'nodemailer';

const o = JSON.parse(fs.readFileSync(0, 'utf8'));
const tls = { ca: fs.readFileSync(o.ca), servername: 'localhost' };
const out = {};

const post = nodemailer.createTransport({
    host: 'localhost', port: o.submission, secure: o.secure, requireTLS: true, tls,
    auth: { user: o.user, pass: o.password },
});
await post.verify();
for (const [n, text] of o.texts.entries()) {
    const info = await post.sendMail({
        from: `سلمى <${o.user}>`, to: o.user, subject: `رسالة ${n}`, text,
        attachments: [{ filename: 'ملف.bin', content: Buffer.from(o.attachment, 'base64') }],
    });
    if (info.rejected.length) throw new Error(`rejected: ${info.response}`);
}
post.close();

const box = new ImapFlow({
    host: 'localhost', port: o.imap, secure: o.secure, tls, logger: false, auth: { user: o.user, pass: o.password },
});
await box.connect();
out.capabilities = [...box.capabilities.keys()];
out.folders = (await box.list()).map((f) => f.path);
await box.mailboxCreate('أرشيف قديم');
const lock = await box.getMailboxLock('INBOX');
try {
    for (let i = 0; i < 100 && box.mailbox.exists < o.texts.length; i++) {
        await new Promise((done) => setTimeout(done, 100));
        await box.noop();
    }
    out.exists = box.mailbox.exists;
    out.messages = [];
    for await (const m of box.fetch('1:*', { uid: true, envelope: true, bodyStructure: true, flags: true, source: true })) {
        out.messages.push({
            uid: m.uid, subject: m.envelope.subject, from: m.envelope.from[0].name, source: m.source.toString('base64'),
            types: (m.bodyStructure.childNodes || []).map((c) => c.type),
        });
    }
    const part = await box.download('1', '2');
    const pieces = [];
    for await (const piece of part.content) pieces.push(piece);
    out.attachment = Buffer.concat(pieces).toString('base64');
    await box.messageFlagsAdd('1', ['\\Flagged', 'Wichtig']);
    out.flagged = await box.search({ flagged: true });
    const moved = await box.messageMove('1', 'أرشيف قديم');
    out.moved = [...moved.uidMap.entries()];
    await box.messageDelete('1');
    out.left = (await box.status('INBOX', { messages: true })).messages;
    out.archived = (await box.status('أرشيف قديم', { messages: true })).messages;
} finally {
    lock.release();
}
await box.logout();
console.log(JSON.stringify(out));
