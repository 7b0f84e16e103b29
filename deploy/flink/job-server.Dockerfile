# Image of Beam's job server for Flink: the artifacts of pom.xml on a class path.
FROM maven:3-eclipse-temurin-17 AS jars
WORKDIR /build
COPY pom.xml .
RUN mvn --batch-mode --quiet org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
      -DincludeScope=runtime -DoutputDirectory=/jars

FROM eclipse-temurin:17-jre
COPY --from=jars /jars /jars
# The opened packages are those of class_path_jar.py.
ENTRYPOINT ["java", "--add-opens=java.base/java.lang=ALL-UNNAMED", "--add-opens=java.base/java.util=ALL-UNNAMED", \
  "--add-opens=java.base/java.nio=ALL-UNNAMED", "--add-opens=java.base/java.net=ALL-UNNAMED", \
  "--add-opens=java.base/java.io=ALL-UNNAMED", "-cp", "/jars/*", "org.apache.beam.runners.flink.FlinkJobServerDriver"]
