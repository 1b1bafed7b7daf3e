// What is done to the brokers past everybody, by Kafka's own tools and by its protocol.
import fs from "node:fs";
import net from "node:net";

import { account, ended, env, pids, started } from "./stack.mjs";

/** One of Kafka's own tools, out of the running broker's folder. */
export const kafkaTool = (name, given, input) => {
    const [java, ...broker] = fs.readFileSync(`/proc/${pids.kafka}/cmdline`, "utf8").split("\0");
    const options = ["-Xmx128m", "-cp", broker[broker.indexOf("-cp") + 1], `org.apache.kafka.tools.${name}`];
    const bootstrap = ["--bootstrap-server", env.KAFKA_BOOTSTRAP];
    const tool = started(java, [...options, ...bootstrap, ...given], { stdio: ["pipe", "pipe", "ignore"] });
    tool.stdout.resume();
    tool.stdin.end(input);
    return tool;
};
export const output = async (tool) => {
    let text = "";
    tool.stdout.on("data", (some) => (text += some));
    await new Promise((resolve) => tool.on("close", resolve));
    return text;
};
/** Where partitions of a topic end. */
export const ends = async (topic) => {
    const text = await output(kafkaTool("GetOffsetShell", ["--topic", `tollbooth.${topic}`]));
    return new Map(text.trim().split("\n").map((line) => line.split(":").slice(1).map(Number)));
};
/** Appends a record past everybody; a value of `undefined` deletes the key of a compacted topic. */
export const append = (topic, key, value = "NULL") => {
    const properties = ["parse.key=true", "key.separator==", "null.marker=NULL"].flatMap((one) => ["--property", one]);
    return ended(kafkaTool("ConsoleProducer", ["--topic", `tollbooth.${topic}`, ...properties], `${key}=${value}\n`));
};
/** A member of the effects' group that takes half of the outbox, reads it and carries nothing out. */
export const intruder = () => {
    const properties = [
        // It comes before the effects, and gets the first half, the account's partition in it.
        "group.instance.id=a", "enable.auto.commit=false",
        "partition.assignment.strategy=org.apache.kafka.clients.consumer.RangeAssignor",
    ].flatMap((property) => ["--consumer-property", property]);
    return kafkaTool("consumer.ConsoleConsumer", ["--topic", "tollbooth.outbox", "--group", "tollbooth-effects", ...properties]);
};
/** A member of a group that comes, makes everybody join anew, and leaves. By Kafka's own protocol: a JVM takes too long to start. */
export const comeAndGo = async (group) => {
    const [host, port] = env.KAFKA_BOOTSTRAP.split(":");
    const socket = net.connect(Number(port), host);
    const int16 = (value) => Buffer.from([value >> 8, value & 255]);
    const int32 = (value) => Buffer.from([value >>> 24, (value >> 16) & 255, (value >> 8) & 255, value & 255]);
    const text = (value) => Buffer.concat([int16(value.length), Buffer.from(value)]);
    const ask = (key, version, ...fields) =>
        new Promise((resolve, reject) => {
            const request = Buffer.concat([int16(key), int16(version), int32(1), text("provoked"), ...fields]);
            let answer = Buffer.alloc(0);
            socket.removeAllListeners();
            socket.on("error", reject).on("data", (some) => {
                answer = Buffer.concat([answer, some]);
                if (answer.length >= 4 && answer.length >= answer.readInt32BE(0) + 4) resolve(answer.subarray(8));
            });
            socket.write(Buffer.concat([int32(request.length), request]));
        });
    // Wants no topic, so that it gets no partition: version 0, no topics, no data.
    const subscription = Buffer.concat([int16(0), int32(0), int32(-1)]);
    const protocols = [int32(1), text("range"), int32(subscription.length), subscription];
    // JoinGroup, version 2: sessions and rebalances of 10 s. The answer: throttle, error, generation, protocol, leader, member.
    const joined = await ask(11, 2, text(group), int32(10_000), int32(10_000), text(""), text("consumer"), ...protocols);
    let at = 10;
    const next = () => joined.toString("utf8", at + 2, (at += 2 + joined.readInt16BE(at)));
    const [, , member] = [next(), next(), next()];
    await ask(13, 1, text(group), text(member));
    socket.destroy();
};
