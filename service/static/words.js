/** What codes mean, in plain words. */

export const DECISIONS = {
  accept: { name: "Accepted", meaning: "Safe to use without a second look." },
  review: { name: "Needs a look", meaning: "A person should check this one." },
  reject: { name: "Rejected", meaning: "This is not a readable digit." },
};

const REASONS = {
  blank: "There is no ink in the picture.",
  not_a_digit: "It does not look like a digit.",
  multiple_digits: "There seems to be more than one digit.",
  low_contrast: "The ink hardly stands out from the paper.",
  cut_off: "It touches the edge, so a part may be missing.",
};

const PROBLEMS = {
  unreachable: ["The service does not answer.", "It may have been stopped, or the connection was lost. Nothing of yours is lost."],
  overloaded: ["The service is busy.", "It is reading for others and turned this one away for now."],
  unavailable: ["The service is starting or stopping.", "Try again in a moment."],
  deadline_exceeded: ["The reading took too long.", "Try again, or with a smaller picture."],
  unauthorized: ["The service asks for an API key.", "Without one it reads nothing."],
  invalid_image: ["This is not a picture that can be read.", "It must be a whole PNG, JPEG, BMP, GIF, TIFF or WebP file."],
  unsupported_media_type: ["This kind of file cannot be read.", "It must be a PNG, JPEG, BMP, GIF, TIFF or WebP picture."],
  internal_error: ["Something went wrong inside the service.", "That is not your fault."],
};

/** What a prediction says, a digit or a number; null where there is none. */
export const said = ({ digit, text }) => (text === undefined ? digit : text || null);

/** Why a reading was not accepted: one sentence for each reason. */
export function reasons(prediction) {
  return prediction.reasons.map((reason) => (reason === "ambiguous" ? doubt(prediction) : (REASONS[reason] ?? reason)));
}

function doubt({ digit, probabilities, alternatives }) {
  if (alternatives) {
    const [other] = alternatives;
    return other ? `It is not sure enough: it could also be ${other.text}.` : "It is not sure enough.";
  }
  const others = probabilities.map((probability, other) => [probability, other]).filter(([, other]) => other !== digit);
  const [probability, other] = others.reduce((best, each) => (each[0] > best[0] ? each : best));
  return `It is not sure enough: it could also be ${other === 8 ? "an" : "a"} ${other} (${percent(probability)}).`;
}

/** Whether trying the same again may help. */
export const mayPass = ({ code }) => ["unreachable", "overloaded", "unavailable", "deadline_exceeded", "unauthorized", "internal_error"].includes(code);

/** A problem as a headline and an explanation. */
export function explain({ code, detail, requestId }) {
  if (code === "too_large") return ["This is too large.", `The service says: ${detail}.`];
  const [headline, text] = PROBLEMS[code] ?? ["The service could not read this.", `It says: ${detail}.`];
  return [headline, code === "internal_error" && requestId ? `${text} Its log knows more under ${requestId}.` : text];
}

/** A probability as a percentage that never rounds up to certainty. */
export function percent(probability) {
  if (probability > 0.9999) return ">\u202f99.99\u202f%";
  const value = probability * 100;
  return `${value.toFixed(value >= 99 ? 2 : 1)}\u202f%`;
}
