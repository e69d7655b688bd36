// What became of a mail. A test holds it against the server's own table.

export const OUTCOMES = {
  accepted: 'Accepted: every destination has it.',
  'worker-failed': 'Answered with 451: the worker died, did not answer in time, or answered what cannot be understood.',
  'no-worker': 'Answered with 451: no worker was free in time.',
  refused: 'Refused: strict mode does not take what is wrong with this message, or a fault plan refused it.',
  'dropped-by-plan': 'Accepted and dropped, as a plan wanted.',
  'storage-failed': 'Answered with 451: it could not be stored where its destination wants it.',
};
