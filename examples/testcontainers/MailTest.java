import static org.junit.jupiter.api.Assertions.assertEquals;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import org.junit.jupiter.api.Test;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.wait.strategy.Wait;
import org.testcontainers.junit.jupiter.Container;
import org.testcontainers.junit.jupiter.Testcontainers;
import org.testcontainers.utility.DockerImageName;

/** fastsmtp in a container, by Testcontainers: its generic one, with the image that packaging/Dockerfile makes. */
@Testcontainers
class MailTest {
    @Container
    static final GenericContainer<?> MAIL = new GenericContainer<>(DockerImageName.parse("fastsmtp:latest"))
            .withCommand("serve", "-o", "smtp.addr=0.0.0.0:1025", "-o", "inbox.address=0.0.0.0:8025")
            .withExposedPorts(1025, 8025)
            .waitingFor(Wait.forHttp("/readyz").forPort(8025));

    private final HttpClient http = HttpClient.newHttpClient();

    @Test
    void welcomeMailIsSent() throws Exception {
        // The application under test logs in as "run-1", with any password: that is its inbox.
        Application.signUp("new@example.com", MAIL.getHost(), MAIL.getMappedPort(1025), "run-1", "any");
        assertEquals(200, expect("run-1", """
                {"within": "5s", "rest": "forbid", "expect": [
                  {"where": {"to": "new@example.com", "subject": "Welcome*"}, "exactly": 1}]}"""));
    }

    /** Returns 200 once it holds; else 408 or 409, and the report is in the answer. */
    private int expect(String namespace, String picture) throws Exception {
        URI uri = URI.create("http://%s:%d/api/ns/%s/expect"
                .formatted(MAIL.getHost(), MAIL.getMappedPort(8025), namespace));
        HttpRequest request = HttpRequest.newBuilder(uri)
                .header("Content-Type", "application/json")
                .header("Accept", "text/plain")
                .POST(HttpRequest.BodyPublishers.ofString(picture))
                .build();
        var answer = http.send(request, BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            System.err.println(answer.body());
        }
        return answer.statusCode();
    }
}
