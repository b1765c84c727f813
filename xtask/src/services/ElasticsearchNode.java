// One Elasticsearch node in this process, without the launcher, the security and the entitlements of Elastic's own
// distribution, none of which is published as a jar. Arguments: the node's home, which has a folder `modules`, and its
// folder of settings.

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

class ElasticsearchNode {
    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        Path conf = Path.of(arguments[1]);
        Settings settings = Settings.builder().put("path.home", home).build();
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), conf, () -> "node");
        LogConfigurator.registerErrorListener();
        LogConfigurator.configure(environment, true);
        var modules = PluginsLoader.loadModulesBundles(home.resolve("modules"));
        Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of(), false));
        CountDownLatch ended = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                node.close();
            } catch (Exception error) {
                error.printStackTrace();
            }
            ended.countDown();
        }));
        node.start();
        ended.await();
    }
}
