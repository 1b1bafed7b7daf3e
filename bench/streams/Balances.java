import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.CountDownLatch;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/**
 * A running balance per account, exactly once, the way Kafka Streams is used for it: usage in, one record with the new balance out for
 * each, balances in RocksDB with a changelog. Ends at SIGTERM.
 *
 * <p>Arguments: bootstrap servers, application id, topic in, topic out, state folder, commit interval in ms, file of prices (service,
 * engine, variant or a dash, unit, micros a unit), what every account begins with, in micros.
 */
public final class Balances {
    private static final String STORE = "balances";
    private static final JsonFactory JSON = new JsonFactory();
    private static final long UNIT_MICROS = 1_000_000;

    private Balances() {}

    public static void main(String[] arguments) throws Exception {
        Map<String, Long> prices = prices(Path.of(arguments[6]));
        long credit = Long.parseLong(arguments[7]);
        KafkaStreams streams = new KafkaStreams(topology(arguments[2], arguments[3], prices, credit), settings(arguments));
        CountDownLatch failed = new CountDownLatch(1);
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            failed.countDown();
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> streams.close(Duration.ofSeconds(10))));
        streams.start();
        failed.await();
        Runtime.getRuntime().halt(1);
    }

    private static Properties settings(String[] arguments) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, arguments[0]);
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, arguments[1]);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, arguments[4]);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, arguments[5]);
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
        settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
        // What changed within a commit interval goes to RocksDB and the changelog once.
        settings.put(StreamsConfig.STATESTORE_CACHE_MAX_BYTES_CONFIG, 64L * 1024 * 1024);
        settings.put(StreamsConfig.BUFFERED_RECORDS_PER_PARTITION_CONFIG, 5_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_POLL_RECORDS_CONFIG), 5_000);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.MAX_PARTITION_FETCH_BYTES_CONFIG), 4 * 1024 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.COMPRESSION_TYPE_CONFIG), "lz4");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), 512 * 1024);
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BUFFER_MEMORY_CONFIG), 128L * 1024 * 1024);
        return settings;
    }

    private static Topology topology(String in, String out, Map<String, Long> prices, long credit) {
        Topology topology = new Topology();
        topology.addSource("usage", Serdes.String().deserializer(), Serdes.ByteArray().deserializer(), in);
        topology.addProcessor("debit", () -> new Debit(prices, credit), "usage");
        topology.addStateStore(
                Stores.keyValueStoreBuilder(Stores.persistentKeyValueStore(STORE), Serdes.String(), Serdes.Long())
                        .withCachingEnabled()
                        .withLoggingEnabled(Map.of()),
                "debit");
        topology.addSink("debits", out, Serdes.String().serializer(), Serdes.ByteArray().serializer(), "debit");
        return topology;
    }

    private static Map<String, Long> prices(Path file) throws IOException {
        Map<String, Long> prices = new HashMap<>();
        for (String line : Files.readAllLines(file)) {
            String[] words = line.split(" ");
            String variant = words[2].equals("-") ? "" : words[2];
            prices.put(words[0] + " " + words[1] + " " + variant + " " + words[3], Long.parseLong(words[4]));
        }
        return prices;
    }

    private static final class Debit implements Processor<String, byte[], String, byte[]> {
        private final Map<String, Long> prices;
        private final long credit;
        private ProcessorContext<String, byte[]> context;
        private KeyValueStore<String, Long> balances;

        Debit(Map<String, Long> prices, long credit) {
            this.prices = prices;
            this.credit = credit;
        }

        @Override
        public void init(ProcessorContext<String, byte[]> context) {
            this.context = context;
            balances = context.getStateStore(STORE);
        }

        @Override
        public void process(Record<String, byte[]> record) {
            Usage usage = Usage.parse(record.value());
            Long price = prices.get(usage.service + " " + usage.engine + " " + usage.variant + " " + usage.unit);
            if (price == null) {
                throw new IllegalStateException(usage.engine + " has no price");
            }
            long amount = Math.multiplyExact(price, usage.quantityMicros) / UNIT_MICROS;
            Long before = balances.get(record.key());
            long balance = Math.subtractExact(before == null ? credit : before, amount);
            balances.put(record.key(), balance);
            String out = "{\"operation\":\"" + usage.operation + "\",\"amount\":" + amount + ",\"balance\":" + balance + "}";
            context.forward(new Record<>(record.key(), out.getBytes(StandardCharsets.ISO_8859_1), record.timestamp()));
        }
    }

    /** What a debit needs of an event, read without building a tree. */
    private static final class Usage {
        String operation;
        String service;
        String engine;
        String variant = "";
        String unit;
        long quantityMicros;

        static Usage parse(byte[] event) {
            Usage usage = new Usage();
            try (JsonParser json = JSON.createParser(event)) {
                json.nextToken();
                while (json.nextToken() == JsonToken.FIELD_NAME) {
                    boolean data = json.currentName().equals("data");
                    json.nextToken();
                    if (data) {
                        usage.readData(json);
                    } else {
                        json.skipChildren();
                    }
                }
                return usage;
            } catch (IOException error) {
                throw new IllegalStateException("not an event", error);
            }
        }

        private void readData(JsonParser json) throws IOException {
            while (json.nextToken() == JsonToken.FIELD_NAME) {
                String name = json.currentName();
                json.nextToken();
                switch (name) {
                    case "operation_id" -> operation = json.getText();
                    case "service" -> service = json.getText();
                    case "engine" -> engine = json.getText();
                    case "variant" -> variant = json.getText();
                    case "unit" -> unit = json.getText();
                    case "quantity" -> quantityMicros = micros(json.getText());
                    default -> json.skipChildren();
                }
            }
        }

        /** "6.5" is 6,500,000. */
        private static long micros(String decimal) {
            int point = decimal.indexOf('.');
            if (point < 0) {
                return Math.multiplyExact(Long.parseLong(decimal), UNIT_MICROS);
            }
            String places = (decimal.substring(point + 1) + "000000").substring(0, 6);
            return Math.addExact(Math.multiplyExact(Long.parseLong(decimal.substring(0, point)), UNIT_MICROS), Long.parseLong(places));
        }
    }
}
