/** What the gallery offers: every avatar as a card, and in a sentence why one cannot be chosen. */

import { asSentence } from "./words.js";

/** @typedef {{id: string, name: string, custom: boolean, current: boolean, coming: boolean, why: string}} Card */

/** @type {Record<string, string>} */
const WHY = {
  loading: "Its model is still loading.",
  not_loaded: "Its model is not loaded yet.",
  unreachable: "Its model's server does not answer.",
};

/**
 * @param {import("./api.js").Avatar} avatar @param {import("./api.js").ModelStatus[] | null} models null: not known yet
 * @returns {string} nothing if it can be used
 */
export function whyNot({ model_type: model }, models) {
  if (!models || !model) return "";
  const status = models.find(({ id }) => id === model);
  if (!status) return `It needs the model ${model}, which this server does not have.`;
  if (status.connected) return "";
  if (status.detail) return asSentence(status.detail);
  return WHY[status.reason ?? ""] || `Its model ${model} cannot be used: ${status.reason || "no reason given"}.`;
}

/**
 * @param {import("./api.js").Avatar[]} avatars
 * @param {import("./api.js").ModelStatus[] | null} models
 * @param {string} current whose face is shown @param {string} coming whose is going to be
 * @returns {Card[]} those that can be used first, otherwise in the server's order
 */
export function cards(avatars, models, current, coming) {
  const all = avatars.map((avatar) => ({
    id: avatar.id,
    name: avatar.name || avatar.id,
    custom: avatar.is_custom === true,
    current: avatar.id === current,
    coming: avatar.id === coming,
    why: whyNot(avatar, models),
  }));
  return [...all.filter(({ why }) => !why), ...all.filter(({ why }) => why)];
}
